//! Where each object stands in the picture of what refers to what: layers from left to right, each
//! object right of all that it needs.

use std::collections::{BTreeMap, BTreeSet};

use dagre::graph::Graph;
use dagre::{EdgeLabel, LayoutOptions, NodeLabel, Point, RankDir, layout};
use serde::Serialize;

use crate::manifest::Key;

/// Of a box, in pixels.
const WIDTH: f64 = 200.0;
const HEIGHT: f64 = 48.0;
/// Between boxes, and around all.
const GAP: f64 = 24.0;
/// Between layers: room for the lines.
const LAYER_GAP: f64 = 40.0;
/// Letters of a name that find room in a box.
const LETTERS: usize = 24;

/// One box, before it has a place.
#[derive(Debug, Clone)]
pub(super) struct Thing {
    pub(super) link: String,
    pub(super) state: &'static str,
    pub(super) word: &'static str,
    /// What it refers to.
    pub(super) needs: Vec<Key>,
}

/// A picture, in pixels.
#[derive(Debug, Serialize)]
pub(super) struct Drawing {
    width: u32,
    height: u32,
    node_width: u32,
    node_height: u32,
    nodes: Vec<Node>,
    /// Paths, as SVG writes them.
    edges: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Node {
    x: u32,
    y: u32,
    kind: String,
    name: String,
    short: String,
    link: String,
    state: &'static str,
    word: &'static str,
}

/// Draws these things; references to others are left out.
pub(super) fn draw(things: &BTreeMap<Key, Thing>) -> Drawing {
    let keys: Vec<&Key> = things.keys().collect();
    let number: BTreeMap<&Key, usize> = keys.iter().enumerate().map(|(n, key)| (*key, n)).collect();
    let mut edges: BTreeSet<(usize, usize)> = BTreeSet::new();
    for (key, thing) in things {
        let needed = thing.needs.iter().filter_map(|it| number.get(it));
        let to = number[key];
        edges.extend(
            needed
                .map(|from| (*from, to))
                .filter(|(from, to)| from != to),
        );
    }
    let Layout { places, lines } = arranged(keys.len(), &edges);
    let nodes = keys.iter().zip(&places).map(|(key, (x, y))| {
        let thing = &things[*key];
        Node {
            x: *x,
            y: *y,
            kind: key.kind.to_string(),
            name: key.name.to_string(),
            short: shortened(&key.name),
            link: thing.link.clone(),
            state: thing.state,
            word: thing.word,
        }
    });
    let far = |side: fn(&(u32, u32)) -> u32| places.iter().map(side).max().unwrap_or(0);
    let bends = lines.iter().flatten();
    let lowest = bends
        .map(|it| it.y)
        .fold(f64::from(far(|it| it.1)) + HEIGHT, f64::max);
    Drawing {
        width: whole(f64::from(far(|it| it.0)) + WIDTH + GAP),
        height: whole(lowest + GAP),
        node_width: whole(WIDTH),
        node_height: whole(HEIGHT),
        nodes: nodes.collect(),
        edges: lines.iter().map(|line| path(line)).collect(),
    }
}

/// Left upper corners by number, and the points that each line goes through.
struct Layout {
    places: Vec<(u32, u32)>,
    lines: Vec<Vec<Point>>,
}

/// Layers for what is linked; what stands alone is below, in rows.
fn arranged(count: usize, edges: &BTreeSet<(usize, usize)>) -> Layout {
    let mut graph: Graph<NodeLabel, EdgeLabel> = Graph::new();
    let linked: BTreeSet<usize> = edges.iter().flat_map(|(from, to)| [*from, *to]).collect();
    for number in &linked {
        let label = NodeLabel {
            width: WIDTH,
            height: HEIGHT,
            ..NodeLabel::default()
        };
        graph.set_node(number.to_string(), Some(label));
    }
    for (from, to) in edges {
        graph.set_edge(
            from.to_string(),
            to.to_string(),
            Some(EdgeLabel::default()),
            None,
        );
    }
    let options = LayoutOptions {
        rankdir: RankDir::LR,
        nodesep: GAP,
        edgesep: GAP / 2.0,
        ranksep: LAYER_GAP,
        marginx: GAP,
        marginy: GAP,
        ..LayoutOptions::default()
    };
    layout(&mut graph, Some(options));
    let mut places = vec![(0, 0); count];
    let (mut right, mut bottom) = (4.0 * (WIDTH + GAP), GAP);
    for number in &linked {
        let node = graph.node(&number.to_string());
        // The library tells the middle.
        let middle = node.and_then(|it| Some((it.x?, it.y?))).unwrap_or_default();
        let (x, y) = (middle.0 - WIDTH / 2.0, middle.1 - HEIGHT / 2.0);
        places[*number] = (whole(x), whole(y));
        right = f64::max(right, x + WIDTH);
        bottom = f64::max(bottom, y + HEIGHT + GAP);
    }
    // The library lets lines end where they meet the box: ours leave at the right side and arrive
    // at the left one, but for those that a circle has turned round.
    let line = |(from, to): &(usize, usize)| {
        let edge = graph.edge(&from.to_string(), &to.to_string(), None);
        let mut points = edge.map(|it| it.points.clone()).unwrap_or_default();
        let side = |number: usize, side: f64| {
            let (x, y) = places[number];
            Point::new(f64::from(x) + side, f64::from(y) + HEIGHT / 2.0)
        };
        if let ([first, .., last], true) = (&mut points[..], places[*from].0 < places[*to].0) {
            *first = side(*from, WIDTH);
            *last = side(*to, 0.0);
        }
        points
    };
    let lines: Vec<Vec<Point>> = edges.iter().map(line).collect();
    let bends = lines.iter().flatten();
    bottom = bends.map(|it| it.y + GAP).fold(bottom, f64::max);
    let in_a_row = ((right - GAP) / (WIDTH + GAP)).max(1.0).floor();
    let (mut column, mut row) = (0.0, 0.0);
    for number in (0..count).filter(|it| !linked.contains(it)) {
        let (x, y) = (GAP + column * (WIDTH + GAP), bottom + row * (HEIGHT + GAP));
        places[number] = (whole(x), whole(y));
        column += 1.0;
        if column >= in_a_row {
            (column, row) = (0.0, row + 1.0);
        }
    }
    Layout { places, lines }
}

/// A curve through these points that goes into each level with the others.
fn path(points: &[Point]) -> String {
    let mut path = String::new();
    for (at, point) in points.iter().enumerate() {
        let (x, y) = (whole(point.x), whole(point.y));
        let before = at.checked_sub(1).and_then(|it| points.get(it));
        path += &match before {
            None => format!("M{x} {y}"),
            Some(before) => {
                let middle = whole(f64::midpoint(before.x, point.x));
                format!("C{middle} {} {middle} {y} {x} {y}", whole(before.y))
            }
        };
    }
    path
}

fn shortened(name: &str) -> String {
    if name.chars().count() <= LETTERS {
        return name.to_owned();
    }
    name.chars().take(LETTERS - 1).chain(['…']).collect()
}

/// Pixels are whole, and right of the edge.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits"
)]
fn whole(pixels: f64) -> u32 {
    pixels.round().clamp(0.0, 1_000_000.0) as u32
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn drawn(count: usize, edges: &[(usize, usize)]) -> Drawing {
        let key = |number: usize| Key::new("Network", "default", format!("n{number:03}"));
        let thing = |number: usize| Thing {
            link: String::new(),
            state: "ok",
            word: "Available",
            needs: edges
                .iter()
                .filter(|it| it.1 == number)
                .map(|it| key(it.0))
                .collect(),
        };
        draw(
            &(0..count)
                .map(|number| (key(number), thing(number)))
                .collect(),
        )
    }

    #[test]
    fn what_is_needed_stands_left_of_what_needs_it() {
        let drawing = drawn(4, &[(0, 1), (1, 2), (0, 2)]);
        let x: Vec<u32> = drawing.nodes.iter().map(|it| it.x).collect();
        assert!(x[0] < x[1] && x[1] < x[2], "{x:?}");
        assert_eq!(drawing.edges.len(), 3);
    }

    #[test]
    fn a_long_name_is_cut() {
        assert_eq!(shortened("short"), "short");
        assert_eq!(shortened(&"x".repeat(30)), format!("{}…", "x".repeat(23)));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn no_two_boxes_overlap(
            (count, edges) in (1..40_usize).prop_flat_map(|count| {
                (Just(count), prop::collection::vec((0..count, 0..count), 0..60))
            })
        ) {
            let drawing = drawn(count, &edges);
            let (width, height) = (drawing.node_width, drawing.node_height);
            for (at, one) in drawing.nodes.iter().enumerate() {
                prop_assert!(one.x + width <= drawing.width && one.y + height <= drawing.height);
                for other in &drawing.nodes[at + 1..] {
                    prop_assert!(
                        one.x.abs_diff(other.x) >= width || one.y.abs_diff(other.y) >= height,
                        "{one:?} {other:?}"
                    );
                }
            }
        }
    }
}
