//! Kubernetes' API: what an ordinary kubectl needs to get, watch, describe, wait and explain. It shows
//! pictures of the daemon. What is written is in [`write`]; without `--api-write` nothing is, and no
//! body is read.
//!
//! Secrets and ConfigMaps are not served, nor are they in discovery, but for those that were written
//! here; no value of a Secret is told even then. A spec is shown as its manifest has it, without the
//! texts that are [`crate::kinds::Kind::CONFIDENTIAL`].

mod cache;
mod discovery;
mod entry;
mod failure;
mod object;
mod openapi;
mod query;
mod resource;
mod route;
mod selector;
mod table;
mod told;
mod watch;
mod write;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use serde::Serialize;
use tokio::sync::{Semaphore, watch as watched};
use tokio_util::sync::CancellationToken;

use crate::manifest::{Group, Key};

use super::Picture;
use super::clock::Clock;
use super::serve::Lease;

use cache::Cache;
use failure::Failure;
use object::{Partial, Whole};
use query::{Form, Options};
use resource::Access;
use route::{Route, Selection};
use table::{ListMetadata, Table};
use watch::{Watch, expired};

pub use write::Writes;

pub use crate::files::FolderError;

/// Who says what happened.
const COMPONENT: &str = "stackward";
/// Watches at a time: half of the connections, so that probes and metrics always get one.
const WATCHES: usize = 32;

/// The API of one daemon.
#[derive(Clone)]
pub struct Kubernetes {
    cache: Arc<Cache>,
    watches: Arc<Semaphore>,
    writes: Option<Writes>,
}

impl Kubernetes {
    /// An API that knows nothing yet.
    #[must_use]
    pub fn new(writes: Option<Writes>) -> Self {
        let data_below = writes.as_ref().map(|it| it.prefix().to_owned());
        Self {
            cache: Arc::new(Cache::new(Clock::machine().now(), data_below)),
            watches: Arc::new(Semaphore::new(WATCHES)),
            writes,
        }
    }

    /// Takes every picture over, until there are no more.
    pub async fn follow(self, mut pictures: watched::Receiver<Picture>, stop: CancellationToken) {
        let mut clock = Clock::machine();
        loop {
            let picture = pictures.borrow_and_update().clone();
            if picture.loaded {
                self.cache.update(&picture.snapshot, clock.now());
            }
            tokio::select! {
                () = stop.cancelled() => return,
                changed = pictures.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Its paths.
    pub(super) fn router(self) -> Router {
        let mut router = Router::new();
        for path in [
            "/version",
            "/api",
            "/api/{*rest}",
            "/apis",
            "/apis/{*rest}",
            "/openapi/{*rest}",
        ] {
            router = router.route(path, any(answer));
        }
        router.with_state(self)
    }
}

/// Is a path one of this API?
pub(super) fn is_of(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next();
    matches!(first, Some("api" | "apis" | "openapi" | "version"))
}

/// What somebody hears who may not come in.
pub(super) fn unauthorized() -> Response {
    Failure::unauthorized().into_response()
}

async fn answer(State(api): State<Kubernetes>, request: Request) -> Response {
    let answered = match *request.method() {
        Method::GET | Method::HEAD => {
            let lease = request.extensions().get::<Lease>().cloned();
            api.answer(request.uri(), request.headers(), lease)
        }
        _ => api.change(request).await,
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

impl Kubernetes {
    const fn access(&self) -> Access {
        match self.writes {
            Some(_) => Access::Write,
            None => Access::Read,
        }
    }

    fn answer(
        &self,
        uri: &Uri,
        headers: &HeaderMap,
        lease: Option<Lease>,
    ) -> Result<Response, Failure> {
        let access = self.access();
        let route = Route::of(uri.path(), access)?;
        let plain = |value: &serde_json::Value| {
            Form::accepted(headers, &[Form::Plain]).and_then(|form| json(form, false, value))
        };
        // Some clients know only one question for everything.
        let discovery = |groups: &[Group], one: serde_json::Value| match Form::accepted(
            headers,
            &[Form::Plain, Form::Discovery],
        )? {
            Form::Discovery => {
                let all = discovery::all_at_once(groups, access);
                json(Form::Discovery, true, &all)
            }
            form => json(form, false, &one),
        };
        match route {
            Route::Version => plain(&discovery::version()),
            Route::Api => discovery(&[Group::Core], discovery::core()),
            Route::Apis => discovery(&[Group::Native, Group::Orc], discovery::groups()),
            Route::Group(group) => plain(&discovery::group(group)),
            Route::Resources(group) => plain(&discovery::resources(group, access)),
            Route::OpenApi => plain(&openapi::index(access)),
            Route::Document(group) => plain(openapi::document(group, access)),
            Route::Objects(selection) => self.objects(selection, uri, headers, lease),
        }
    }

    fn objects(
        &self,
        selection: Selection,
        uri: &Uri,
        headers: &HeaderMap,
        lease: Option<Lease>,
    ) -> Result<Response, Failure> {
        let mut options = Options::of(uri, selection.resource)?;
        let forms = [Form::Plain, Form::Table, Form::Metadata];
        let form = Form::accepted(headers, &forms)?;
        if !self.cache.is_loaded() {
            return Err(Failure::not_ready());
        }
        if options.watch {
            if let Some(name) = &selection.name {
                options.fields = options.fields.and(selector::Fields::named(name));
            }
            let permit = Arc::clone(&self.watches).try_acquire_owned();
            let watch = Watch {
                cache: Arc::clone(&self.cache),
                selection,
                options,
                form,
                lease,
                _permit: permit.map_err(|_| Failure::too_many(WATCHES))?,
            };
            return watch.answer();
        }
        match &selection.name {
            Some(name) => self.one(&selection, name, form, &options),
            None => self.list(&selection, form, &options),
        }
    }

    fn one(
        &self,
        selection: &Selection,
        name: &str,
        form: Form,
        options: &Options,
    ) -> Result<Response, Failure> {
        let resource = selection.resource;
        let namespace = selection.namespace.as_deref().unwrap_or_default();
        let entry = self
            .cache
            .get(&Key::new(resource.kind, namespace, name))
            .filter(|entry| entry.is_in(resource.group))
            .ok_or_else(|| Failure::no_such_object(resource, name))?;
        let version = entry.version;
        match form {
            Form::Table => {
                let now = Clock::machine().now();
                let rows = [(&*entry, version)];
                let table = Table::new(resource, rows, options.include, version, now);
                json(form, false, &table)
            }
            Form::Metadata => json(form, false, &Partial::new(&entry, version)),
            Form::Plain | Form::Discovery => {
                json(form, false, &Whole::new(&entry, resource, version))
            }
        }
    }

    fn list(
        &self,
        selection: &Selection,
        form: Form,
        options: &Options,
    ) -> Result<Response, Failure> {
        let resource = selection.resource;
        let (entries, version) = self
            .cache
            .list(resource.kind, selection.namespace.as_deref());
        match options.version {
            // What is newest here is as new as anything that was ever given here, or else unknown.
            Some(wanted) if wanted > version => return Err(expired(cache::Unknown::Future)),
            Some(wanted) if options.exact && wanted != version => {
                return Err(expired(cache::Unknown::TooOld));
            }
            _ => {}
        }
        let meant = entries
            .iter()
            .map(|entry| &**entry)
            .filter(|entry| entry.is_in(resource.group) && options.fit(entry))
            .map(|entry| (entry, entry.version));
        match form {
            Form::Table => {
                let now = Clock::machine().now();
                let table = Table::new(resource, meant, options.include, version, now);
                json(form, true, &table)
            }
            Form::Metadata => {
                let items = meant.map(|(entry, version)| Partial::new(entry, version));
                let list = List::new(
                    "meta.k8s.io/v1",
                    "PartialObjectMetadata",
                    version,
                    items.collect(),
                );
                json(form, true, &list)
            }
            Form::Plain | Form::Discovery => {
                let items = meant.map(|(entry, version)| Whole::new(entry, resource, version));
                let group = resource.group.api_version();
                json(
                    form,
                    true,
                    &List::new(group, resource.kind, version, items.collect()),
                )
            }
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct List<T> {
    kind: String,
    api_version: &'static str,
    metadata: ListMetadata,
    items: Vec<T>,
}

impl<T> List<T> {
    fn new(api_version: &'static str, kind: &str, version: u64, items: Vec<T>) -> Self {
        Self {
            kind: format!("{kind}List"),
            api_version,
            metadata: ListMetadata {
                resource_version: version.to_string(),
            },
            items,
        }
    }
}

fn json(form: Form, is_list: bool, value: &impl Serialize) -> Result<Response, Failure> {
    let text = serde_json::to_vec(value).map_err(|error| Failure::internal(error.to_string()))?;
    let content_type = (header::CONTENT_TYPE, form.content_type(is_list));
    Ok(([content_type], text).into_response())
}
