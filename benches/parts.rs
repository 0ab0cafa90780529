//! What the daemon does most often, each by itself: `cargo bench --bench parts`.

#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on stops")]

use std::time::Duration;

use divan::{Bencher, black_box};
use jiff::Timestamp;
use serde_json::Value;
use stackward::engine::plan::{Observed, Seen, Wanted, plan};
use stackward::kinds::erased::{AnyKind, Found};
use stackward::kinds::field::diff;
use stackward::kinds::{self, Attached, KINDS};
use stackward::manifest::parse::{Kinds, parse};
use stackward::manifest::{Manifest, Shape};

/// A server with a volume beside it, as the scale benchmark has ten thousand of.
const MANIFESTS: &str = "\
apiVersion: stackward.dev/v1alpha1
kind: Volume
metadata: {name: v}
spec: {resource: {size: 1}}
---
apiVersion: stackward.dev/v1alpha1
kind: Server
metadata: {name: s}
spec:
  resource:
    imageRef: base
    flavorRef: {filter: {name: m1.tiny}}
    ports: [{portRef: p}]
    volumes: [{volumeRef: v}]
";
const SERVER: &str = include_str!("../src/kinds/testdata/server.json");

fn manifests() -> Vec<Manifest> {
    let shapes: Vec<(&str, Shape)> = KINDS.iter().map(|it| (it.name(), it.shape())).collect();
    let (manifests, problems) = parse("s.yaml", MANIFESTS, Kinds(&shapes));
    assert_eq!((manifests.len(), problems.len()), (2, 0));
    manifests
}

/// The server of the manifests as if it were there, and the spec that would have made it.
fn server() -> (&'static dyn AnyKind, Found, Value) {
    let kind = kinds::find("Server").unwrap();
    let found = kind.look(serde_json::from_str(SERVER).unwrap()).unwrap();
    let have = kind.project(&found, &Attached::default());
    (kind, found, have)
}

fn main() {
    divan::main();
}

#[divan::bench]
fn parse_two_manifests() -> Vec<Manifest> {
    manifests()
}

#[divan::bench]
fn accept_a_spec(bencher: Bencher<'_, '_>) {
    let (manifests, (kind, ..)) = (manifests(), server());
    bencher.bench_local(|| kind.accept(black_box(&manifests[1])).unwrap());
}

#[divan::bench]
fn read_a_server_of_a_list(bencher: Bencher<'_, '_>) {
    let (kind, item): (_, Value) = (server().0, serde_json::from_str(SERVER).unwrap());
    let item = bencher.with_inputs(|| item.clone());
    item.bench_local_values(|item| kind.look(item).unwrap());
}

#[divan::bench]
fn project_a_server(bencher: Bencher<'_, '_>) {
    let (kind, found, _) = server();
    bencher.bench_local(|| kind.project(black_box(&found), &Attached::default()));
}

#[divan::bench]
fn compare_a_server_with_its_spec(bencher: Bencher<'_, '_>) {
    let (kind, _, have) = server();
    let rows = kind.rows();
    bencher.bench_local(|| diff(&rows, black_box(&have), &have));
}

#[divan::bench]
fn decide_about_a_server(bencher: Bencher<'_, '_>) {
    let (manifests, (kind, found, have)) = (manifests(), server());
    let wanted = Wanted {
        kind,
        spec: Some(&have),
        unmet: &[],
        policy: &manifests[1].policy,
    };
    let seen = Observed::Found(Seen {
        found: &found,
        attached: Attached::default(),
        have: have.clone(),
        since: Duration::ZERO,
        blind: Vec::new(),
        moving: Duration::ZERO,
    });
    bencher.bench_local(|| plan(black_box(&wanted), &seen, Timestamp::UNIX_EPOCH));
}
