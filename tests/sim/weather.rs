//! What goes wrong around a simulated daemon: requests, writes of the journal, and what looks show.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::Value;
use stackward::kinds::call::{Call, CallError, List, Method};
use stackward::sandbox::World;

use super::{Fault, Sim, unknown};

/// How many states of the cloud are kept for looks that lag behind.
const KEPT: usize = 8;
/// A state that was overtaken longer ago than this is shown no more: replicas lag by seconds.
const STALEST: Duration = Duration::from_secs(60);

/// What goes wrong, and when.
#[derive(Clone, Default)]
pub struct Weather {
    /// With the request of this number, counted from 0 over everything but lists.
    pub requests: BTreeMap<usize, Fault>,
    /// With the write of the journal of this number: it fails (`None`), or the daemon dies before
    /// it (`false`) or after it (`true`).
    pub writes: BTreeMap<usize, Option<bool>>,
    /// What the next looks at a kind show, and how many of them.
    pub views: BTreeMap<&'static str, (View, usize)>,
    /// The services ignore the filters of lists.
    pub unfiltered: bool,
    /// Whether states of the cloud are kept for [`View::Stale`].
    pub keeps: bool,
    /// Requests that are carried out later.
    pub late: BTreeMap<(Timestamp, u64), Call>,
    past: VecDeque<Past>,
}

/// What a look at a kind shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum View {
    /// The state of so many requests ago, 1 to 8.
    Stale(usize),
    /// Not the items whose bit is set.
    Omit(u64),
    /// Nothing: it fails.
    Down,
}

/// A state of the cloud that was overtaken.
#[derive(Clone)]
struct Past {
    world: World,
    token: String,
    until: Timestamp,
}

impl Weather {
    /// All is well from now on; what is late still comes.
    pub fn clear(&mut self) {
        *self = Self {
            late: std::mem::take(&mut self.late),
            keeps: self.keeps,
            past: std::mem::take(&mut self.past),
            ..Self::default()
        };
    }
}

impl Sim {
    /// One look of the daemon at a kind.
    pub(super) fn look(
        &mut self,
        kind: &'static str,
        list: &List,
    ) -> Result<Vec<Value>, CallError> {
        let Some((view, looks)) = self.weather.views.get_mut(kind) else {
            return self.list(list);
        };
        let view = *view;
        *looks -= 1;
        if *looks == 0 {
            self.weather.views.remove(kind);
        }
        match view {
            View::Stale(back) => self.list_of_the_past(back, list),
            View::Omit(mask) => {
                let mut index = 0;
                let mut items = self.list(list)?;
                items.retain(|_| {
                    index += 1;
                    mask >> (index % 64) & 1 == 0
                });
                Ok(items)
            }
            View::Down => Err(unknown(Some(503), "the service is down")),
        }
    }

    fn list_of_the_past(&mut self, back: usize, list: &List) -> Result<Vec<Value>, CallError> {
        let now = self.now;
        let recent = |past: &Past| now.duration_since(past.until).unsigned_abs() <= STALEST;
        let first = self.weather.past.iter().position(recent);
        let at = self.weather.past.len().saturating_sub(back);
        let at = first.map_or(usize::MAX, |first| first.max(at));
        let Some(mut past) = self.weather.past.remove(at) else {
            return self.list(list);
        };
        let mut swap = |sim: &mut Self| {
            std::mem::swap(&mut sim.world, &mut past.world);
            std::mem::swap(&mut sim.token, &mut past.token);
        };
        swap(self);
        // Nothing happens in the past by itself.
        self.now = self.logged_in_at;
        let items = self.list(list);
        self.now = now;
        swap(self);
        self.weather.past.insert(at, past);
        items
    }

    /// A request is about to change the cloud.
    pub(super) fn remember(&mut self, call: &Call) {
        if !self.weather.keeps || call.method == Method::Get {
            return;
        }
        self.weather.past.push_back(Past {
            world: self.world.clone(),
            token: self.token.clone(),
            until: self.now,
        });
        if self.weather.past.len() > KEPT {
            self.weather.past.pop_front();
        }
    }

    /// Remembers the states of runs that led here, the oldest first, as looks may still show them.
    pub fn remember_from(&mut self, runs: &[&Self]) {
        self.weather.keeps = true;
        let earlier = runs.iter().filter(|run| run.sent() < self.sent());
        for pair in earlier.collect::<Vec<_>>().windows(2) {
            if pair[1].sent() > pair[0].sent() {
                self.weather.past.push_back(Past {
                    world: pair[0].world.clone(),
                    token: pair[0].token.clone(),
                    until: pair[1].now,
                });
            }
        }
        let surplus = self.weather.past.len().saturating_sub(KEPT);
        self.weather.past.drain(..surplus);
    }

    /// A request is carried out later, and nobody hears of it.
    pub(super) fn put_off(&mut self, call: Call, seconds: u8) {
        if call.method == Method::Get {
            return;
        }
        self.sequence += 1;
        let at = self.now + Duration::from_secs(seconds.into());
        self.weather.late.insert((at, self.sequence), call);
    }

    /// Carries out what is late and due.
    pub(super) fn catch_up(&mut self) {
        while let Some(entry) = self.weather.late.first_entry()
            && entry.key().0 <= self.now
        {
            let call = entry.remove();
            self.remember(&call);
            self.trace
                .push(format!("late: {} {}", call.method.as_str(), call.path));
            self.send(&call).ok();
        }
    }
}
