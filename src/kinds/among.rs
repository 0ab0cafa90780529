//! Lists that hold the items of two kinds: the interfaces of routers are ports.
//!
//! Where the whole list is read anyway, nothing is asked a second time with a filter.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde_json::Value;

use super::KINDS;
use super::erased::AnyKind;

/// A kind whose items are among those of another one's list.
pub struct Among {
    /// Which.
    pub kind: &'static dyn AnyKind,
    /// The filter of its own list.
    query: Vec<(String, String)>,
}

impl Among {
    /// Would its own list have shown this item? A field that is asked for with several values has one
    /// of them.
    #[must_use]
    pub fn has(&self, item: &str) -> bool {
        // Nearly all of them can be told without being read.
        if !self.query.iter().any(|(_, value)| item.contains(value)) {
            return false;
        }
        let item: Value = serde_json::from_str(item).unwrap_or_default();
        self.query.iter().all(|(field, _)| {
            let mut values = self.query.iter().filter(|(it, _)| it == field);
            values.any(|(_, value)| item[field] == value.as_str())
        })
    }
}

static AMONG: LazyLock<BTreeMap<&'static str, Vec<Among>>> = LazyLock::new(|| {
    let among = |whole: &dyn AnyKind| -> Vec<Among> {
        let all = whole.list();
        let others = KINDS.iter().filter_map(|kind| {
            let list = kind.list();
            let is_part = all.query.is_empty()
                && !list.query.is_empty()
                && list.requests().count() == 1
                && (list.service, list.path, list.microversion)
                    == (all.service, all.path, all.microversion);
            is_part.then_some(Among {
                kind: *kind,
                query: list.query,
            })
        });
        others.collect()
    };
    let kinds = KINDS.iter().map(|kind| (kind.name(), among(*kind)));
    kinds.filter(|(_, among)| !among.is_empty()).collect()
});

/// The kinds whose items are among those of this one's list.
#[must_use]
pub fn among(kind: &str) -> &'static [Among] {
    AMONG.get(kind).map_or(&[], |among| among)
}

/// The kind whose list has the items of this one among its own.
#[must_use]
pub fn whole(kind: &str) -> Option<&'static str> {
    let has = |among: &Vec<Among>| among.iter().any(|it| it.kind.name() == kind);
    let mut kinds = AMONG.iter().filter(|(_, among)| has(among));
    kinds.next().map(|(whole, _)| *whole)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn interfaces_are_among_the_ports_and_told_by_their_owner() {
        assert_eq!(whole("RouterInterface"), Some("Port"));
        assert_eq!(whole("Port"), None);
        assert_eq!(whole("Volume"), None);
        let [interfaces] = among("Port") else {
            panic!("one kind");
        };
        let has = |owner: &str| interfaces.has(&json!({"device_owner": owner}).to_string());
        assert!(has("network:router_interface") && has("network:ha_router_replicated_interface"));
        assert!(!has("network:dhcp") && !has("") && !interfaces.has("{}"));
    }
}
