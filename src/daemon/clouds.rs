//! Connections to OpenStack: which credentials a scope's source means, and who is told of requests.

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;

use crate::cloud::environment::Environment;
use crate::cloud::profile::{ConfigError, Profile};
use crate::cloud::upload::Sent;
use crate::cloud::wire::{self, Observer, Outcome};
use crate::cloud::{self, Cloud, Options};
use crate::config::CloudChoice;
use crate::engine::looked::{self, Looked};
use crate::engine::scope::{Fingerprint, Scope, Source};
use crate::kinds::call::{Body, Call, CallError, Get, List, Reply, Service};

use super::metrics::{Exchange, Metrics};
use super::remote::{Dial, Look, Refused, Remote};
use super::uploads::Uploads;

/// Makes connections to OpenStack.
pub struct OpenStack {
    /// What the process was started with.
    pub environment: Environment,
    /// The default cloud.
    pub choice: CloudChoice,
    /// The clouds.yaml of the simulated cloud, when it is the default one.
    pub sandbox: Option<String>,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is being uploaded.
    pub uploads: Uploads,
}

impl OpenStack {
    fn profile(&self, scope: &Scope, source: &Source) -> Result<Profile, ConfigError> {
        let environment = &self.environment;
        match source {
            Source::Secret {
                clouds_yaml,
                cacert,
                cloud,
            } => {
                let text = clouds_yaml.expose_text().unwrap_or_default();
                let cacert = cacert.as_ref().and_then(|pem| pem.expose_text());
                Profile::from_clouds_yaml(text, cloud, cacert, environment)
            }
            // The journal remembers a scope by its name alone, also the default one.
            Source::Cloud(_) if *scope == self.choice.scope() => {
                match (&self.choice, &self.sandbox) {
                    (CloudChoice::Sandbox, Some(text)) => {
                        Profile::from_clouds_yaml(text, crate::config::SANDBOX, None, environment)
                    }
                    (CloudChoice::Named(name), _) => Profile::load(Some(name), environment),
                    _ => Profile::load(None, environment),
                }
            }
            Source::Cloud(name) => Profile::load(name.as_deref(), environment),
        }
    }

    fn open(&self, scope: &Scope, source: &Source) -> Result<OneCloud, Refused> {
        let refused =
            |error: ConfigError| Refused::new(&error.to_string(), error.hint().as_deref(), true);
        let profile = self.profile(scope, source).map_err(refused)?;
        let keystone = Arc::new(AtomicU16::new(0));
        let observer = Exchanges {
            scope: scope.clone(),
            metrics: Arc::clone(&self.metrics),
            keystone: Arc::clone(&keystone),
        };
        let options = Options {
            observer: Some(Arc::new(observer)),
            ..Options::default()
        };
        Ok(OneCloud {
            scope: scope.clone(),
            cloud: Cloud::new(profile, options).map_err(refused)?,
            metrics: Arc::clone(&self.metrics),
            uploads: self.uploads.clone(),
            keystone,
        })
    }
}

impl Dial for OpenStack {
    fn dial<'a>(
        &'a self,
        scope: &'a Scope,
        source: &'a Source,
    ) -> BoxFuture<'a, Result<Arc<dyn Remote>, Refused>> {
        // Files are small and local; TLS certificates are read here as well.
        let opened = self
            .open(scope, source)
            .map(|cloud| Arc::new(cloud) as Arc<dyn Remote>);
        std::future::ready(opened).boxed()
    }
}

struct OneCloud {
    scope: Scope,
    cloud: Cloud,
    metrics: Arc<Metrics>,
    uploads: Uploads,
    /// The status of Keystone's last answer.
    keystone: Arc<AtomicU16>,
}

impl OneCloud {
    fn note_token(&self) {
        if let Some(at) = self.cloud.token_expires() {
            self.metrics.token_expires(&self.scope, at);
        }
    }
}

impl Look for OneCloud {
    fn fingerprint(&self) -> BoxFuture<'_, Result<Fingerprint, Refused>> {
        async {
            self.keystone.store(0, Ordering::Relaxed);
            let scope = self.cloud.scope().await.map_err(|error| {
                // The client sends nothing without a token, whatever the reason: ask why.
                let status = self.keystone.load(Ordering::Relaxed);
                Refused::of_call(&error, matches!(status, 400 | 401 | 403 | 404))
            })?;
            self.note_token();
            Ok(fingerprint(scope))
        }
        .boxed()
    }

    fn list<'a>(
        &'a self,
        kind: &'static str,
        list: &'a List,
    ) -> BoxFuture<'a, Result<Looked, CallError>> {
        async move {
            let items = (self.cloud).list_as(list, |item| looked::read(kind, item.get()));
            let items = items.await;
            self.note_token();
            Ok(items?.into_iter().collect())
        }
        .boxed()
    }

    fn get<'a>(&'a self, get: &'a Get) -> BoxFuture<'a, Result<Reply, CallError>> {
        async move {
            let reply = self.cloud.send(&Call::from(get), None).await;
            self.note_token();
            reply
        }
        .boxed()
    }
}

impl Remote for OneCloud {
    fn send<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Result<Reply, CallError>> {
        async {
            let Body::Upload(upload) = &call.body else {
                return self.cloud.send(call, None).await;
            };
            let under_way = self.uploads.begin(&upload.source);
            let (metrics, counted) = (Arc::clone(&self.metrics), AtomicU64::new(0));
            let note = under_way.noting();
            let progress = move |sent: Sent| {
                let before = counted.fetch_max(sent.bytes, Ordering::Relaxed);
                metrics.uploaded(sent.bytes.saturating_sub(before));
                note(sent);
            };
            self.cloud.send(call, Some(Arc::new(progress))).await
        }
        .boxed()
    }
}

fn fingerprint(scope: cloud::Scope) -> Fingerprint {
    let domain = scope.domain_id.map(|id| format!("domain {id}"));
    let system = scope.system.then(|| "system".to_owned());
    Fingerprint {
        project: scope.project_id.or(domain).or(system).unwrap_or_default(),
        user: scope.user_id.unwrap_or_default(),
        region: scope.region,
        auth_url: scope.auth_url,
    }
}

/// Counts and logs the exchanges with one cloud.
struct Exchanges {
    scope: Scope,
    metrics: Arc<Metrics>,
    keystone: Arc<AtomicU16>,
}

impl Observer for Exchanges {
    fn exchanged(&self, exchange: &wire::Exchange) {
        if exchange.service == Service::Identity {
            let status = match exchange.outcome {
                Outcome::Status(status) => status,
                Outcome::NotSent | Outcome::Lost => 0,
            };
            self.keystone.store(status, Ordering::Relaxed);
        }
        let note = Exchange {
            service: exchange.service.as_str(),
            method: exchange.method,
            route: exchange.route,
            outcome: exchange.outcome.to_string(),
            seconds: exchange.duration.as_secs_f64(),
            request_id: exchange.request_id.as_deref(),
            attempt: exchange.attempt,
        };
        self.metrics.exchanged(&self.scope, &note);
    }
}
