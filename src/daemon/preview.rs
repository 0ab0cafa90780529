//! What would be done: the engine is shown the world, and nothing that it wants is carried out.
//!
//! Only [`Look`] is in reach here, so nothing can be written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::engine::desired::Desired;
use crate::engine::scope::Scope;
use crate::engine::{Effect, Engine, Event};
use crate::kinds::call::CallError;

use super::clock::Clock;
use super::remote::{Connections, Look};

/// Shows the engine the manifests and the clouds, until it has seen everything that it asked for
/// or `patience` is over. Says which clouds could not be looked at.
pub async fn look(
    engine: &mut Engine,
    desired: Arc<Desired>,
    connections: &Connections,
    clock: &mut Clock,
    patience: Duration,
) -> Vec<String> {
    let end = Instant::now() + patience;
    let mut looks: JoinSet<Event> = JoinSet::new();
    let mut failures = Vec::new();
    let mut open: HashMap<Scope, Arc<dyn Look>> = HashMap::new();
    // Two readings must agree before anything may be deleted; this is what both would say.
    for effect in engine.handle(Event::Desired(Arc::clone(&desired)), clock.now()) {
        begin(effect, connections, &open, clock, &mut looks);
    }
    let mut event = Some(Event::Desired(desired));
    loop {
        if let Some(event) = event.take() {
            failures.extend(failure(&event));
            if let Event::Connected {
                scope,
                result: Ok(_),
            } = &event
                && let Ok(remote) = connections.look(scope)
            {
                open.insert(scope.clone(), remote);
            }
            for effect in engine.handle(event, clock.now()) {
                begin(effect, connections, &open, clock, &mut looks);
            }
        }
        if looks.is_empty() || !failures.is_empty() && engine.snapshot().looked {
            return failures;
        }
        tokio::select! {
            Some(done) = looks.join_next() => event = done.ok(),
            () = sleep_until(end) => {
                failures.push("the clouds did not answer in time".to_owned());
                return failures;
            }
        }
    }
}

fn begin(
    effect: Effect,
    connections: &Connections,
    open: &HashMap<Scope, Arc<dyn Look>>,
    clock: &mut Clock,
    looks: &mut JoinSet<Event>,
) {
    match effect {
        Effect::Connect { scope, source } => {
            let connections = connections.clone();
            looks.spawn(async move {
                let result = connections.connect(&scope, &source).await;
                let result = result.map(|connected| connections.admit(&scope, connected));
                Event::Connected {
                    scope,
                    result: result.map_err(|error| error.message),
                }
            });
        }
        Effect::List { scope, kind, list } => {
            let started_at = clock.now();
            let remote = open.get(&scope).cloned();
            looks.spawn(async move {
                let result = match remote {
                    Some(remote) => remote.list(kind, &list).await,
                    None => Err(unconnected(&scope)),
                };
                Event::Listed {
                    scope,
                    kind,
                    started_at,
                    result,
                }
            });
        }
        Effect::Quota { scope, get } => {
            let (started_at, service) = (clock.now(), get.service);
            let remote = open.get(&scope).cloned();
            looks.spawn(async move {
                let result = match remote {
                    Some(remote) => remote.get(&get).await,
                    None => Err(unconnected(&scope)),
                };
                Event::Quota {
                    scope,
                    service,
                    started_at,
                    result,
                }
            });
        }
        // Nothing is sent and nothing is written down; what is due later is of no interest.
        Effect::Call { .. } | Effect::Record { .. } | Effect::Alarm(_) | Effect::Publish => {}
    }
}

fn unconnected(scope: &Scope) -> CallError {
    CallError::NotSent {
        message: format!("there is no connection to cloud {scope}"),
        hint: None,
    }
}

fn failure(event: &Event) -> Option<String> {
    match event {
        Event::Connected {
            scope,
            result: Err(error),
        } => Some(format!("cloud {scope}: {error}")),
        Event::Listed {
            scope,
            kind,
            result: Err(error),
            ..
        } => Some(format!("cloud {scope}: {kind} cannot be listed: {error}")),
        _ => None,
    }
}
