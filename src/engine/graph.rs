//! Objects that wait for each other in a circle, so that none of them could ever be created.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::manifest::Key;

use super::desired::Object;

/// The circles among the references, each once, as a path that starts at its least member. Members
/// of one circle are never in another: a knot of several circles is reported by one of them.
#[must_use]
pub fn cycles(objects: &BTreeMap<Key, Arc<Object>>) -> Vec<Vec<Key>> {
    let needed: BTreeMap<&Key, BTreeSet<Key>> = objects
        .iter()
        .map(|(key, object)| (key, object.waits_for()))
        .collect();
    let edges: BTreeMap<&Key, Vec<&Key>> = needed
        .iter()
        .map(|(key, needs)| {
            (
                *key,
                needs
                    .iter()
                    .filter(|it| objects.contains_key(*it))
                    .collect(),
            )
        })
        .collect();
    let mut done: BTreeSet<&Key> = BTreeSet::new();
    let mut cycles = Vec::new();
    for start in edges.keys() {
        // An explicit stack: ten thousand objects in a row must not overflow the thread's own.
        let mut path: Vec<(&Key, usize)> = vec![(start, 0)];
        let mut on_path: BTreeSet<&Key> = BTreeSet::from([*start]);
        if done.contains(start) {
            continue;
        }
        while let Some((node, next)) = path.last_mut() {
            let node = *node;
            let Some(target) = edges[node].get(*next).copied() else {
                done.insert(node);
                on_path.remove(node);
                path.pop();
                continue;
            };
            *next += 1;
            if on_path.contains(target) {
                let begin = path.iter().position(|(key, _)| *key == target).unwrap_or(0);
                cycles.push(from_least(
                    path[begin..]
                        .iter()
                        .map(|(key, _)| (*key).clone())
                        .collect(),
                ));
            } else if !done.contains(target) {
                on_path.insert(target);
                path.push((target, 0));
            }
        }
    }
    let mut seen = BTreeSet::new();
    cycles.retain(|cycle: &Vec<Key>| {
        let fresh = cycle.iter().all(|key| !seen.contains(key));
        seen.extend(cycle.iter().cloned());
        fresh
    });
    cycles
}

fn from_least(mut cycle: Vec<Key>) -> Vec<Key> {
    let least = (0..cycle.len())
        .min_by_key(|index| &cycle[*index])
        .unwrap_or(0);
    cycle.rotate_left(least);
    cycle
}
