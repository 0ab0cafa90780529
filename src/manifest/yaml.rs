//! One YAML document: its value by `serde-saphyr`, its places by the events of the same parser.
//!
//! With `write`, the only file that knows these crates; their interfaces move.

use std::collections::HashMap;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle};
use serde_json::Value;

use super::documents::Document;
use super::place::{Mark, Origin, Places, join};
use super::problem::{Code, Problem};
use super::suggest::quote;
use super::syntax;

/// Deep enough for any manifest, shallow enough for any stack.
const MAX_DEPTH: usize = 64;
/// Mappings, lists and scalars of one document after aliases are expanded: a list of some 10,000
/// objects.
const MAX_NODES: usize = 250_000;
/// Text of one document after aliases are expanded.
const MAX_TEXT: usize = 8 * 1024 * 1024;
/// Anchors and aliases of one document.
const MAX_ALIASES: usize = 10_000;

/// Reads one document that begins after `lines` lines of its file.
pub(super) fn read(file: &Arc<str>, text: &str, lines: usize) -> Result<Document, Problem> {
    let value: Value = serde_saphyr::from_str_with_options(text, options())
        .map_err(|error| problem(file, text, lines, &error))?;
    let mut places = places(file, text, lines);
    places.sort();
    Ok(Document { value, places })
}

fn options() -> serde_saphyr::Options {
    serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: MAX_DEPTH,
            max_nodes: MAX_NODES,
            max_events: 2 * MAX_NODES,
            max_total_scalar_bytes: MAX_TEXT,
            max_aliases: MAX_ALIASES,
            max_anchors: MAX_ALIASES,
            max_documents: 2,
        },
        duplicate_keys: serde_saphyr::DuplicateKeyPolicy::Error,
        // Without these, an untyped `no` is false and `0755` is the number 755.
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    }
}

fn problem(file: &Arc<str>, text: &str, lines: usize, error: &serde_saphyr::Error) -> Problem {
    use serde_saphyr::Error;
    let mut error = error.without_snippet();
    while let Error::AliasError { error: inner, .. } = error {
        error = inner.without_snippet();
    }
    let mut mark = error
        .location()
        .map_or(Mark::new(lines + 1, 1), |location| {
            let fit = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
            Mark::new(
                fit(location.line()).max(1).saturating_add(lines),
                fit(location.column()).max(1),
            )
        });
    let problem = match error {
        Error::DuplicateMappingKey { key, .. } => {
            let first = places(file, text, lines).first_of(mark);
            let key = key.as_deref().map(|key| format!(" `{}`", quote(key)));
            duplicate(&key.unwrap_or_default(), mark, first)
        }
        Error::Budget { breach, .. } => Problem::error(
            Code::TooLarge,
            format!("the document is too large: {}", excess(breach)),
        )
        .hint(match breach {
            serde_saphyr::budget::BudgetBreach::Depth { .. } => "nest less deeply",
            _ => "split it into several documents, and write out what its aliases stand for",
        })
        .at(overflow(file, text, lines, mark)),
        Error::AliasReplayLimitExceeded { .. }
        | Error::AliasExpansionLimitExceeded { .. }
        | Error::AliasReplayStackDepthExceeded { .. } => Problem::error(
            Code::TooLarge,
            "the document is too large: its aliases expand too far",
        )
        .hint("write out what they stand for"),
        Error::NonFiniteFloat { value, .. } => {
            let message = format!("`{}` is not a number that can be sent", quote(value));
            Problem::error(Code::InvalidValue, message).hint("put it in quotes if it is text")
        }
        Error::NullIntoString { .. }
        | Error::Unexpected {
            expected: "string scalar",
            ..
        } => {
            // `{{ name }}`: it begins with the outer brace.
            let line = text.split('\n').nth(index(mark.line).saturating_sub(lines));
            let before = line.and_then(|line| line.chars().nth(index(mark.column).checked_sub(1)?));
            mark.column -= u32::from(before == Some('{'));
            let message = "not YAML that JSON could say: a key is not text";
            Problem::error(Code::BadYaml, message).hint(
                "manifests are no templates; put text that begins with `{`, `[` or `~` in quotes",
            )
        }
        other => {
            let fault = syntax::fault(text);
            if let Some(fault) = &fault {
                mark = fault.mark;
                mark.line = Mark::new(lines, 1).line.saturating_add(mark.line);
            }
            let message = (fault.as_ref()).map_or_else(|| message(other), |it| it.message.clone());
            let mut problem = Problem::error(Code::BadYaml, format!("not YAML: {message}"));
            problem.hint = fault.map(|it| it.hint);
            problem
        }
    };
    if problem.origin.is_some() {
        return problem;
    }
    problem.at(Origin {
        file: Arc::clone(file),
        line: mark.line,
        column: mark.column,
    })
}

/// The alias at which a document has more values than it may; `mark` if it is none.
fn overflow(file: &Arc<str>, text: &str, lines: usize, mark: Mark) -> Origin {
    let at = |mark: Mark| Origin {
        file: Arc::clone(file),
        line: mark.line,
        column: mark.column,
    };
    let mut sizes: HashMap<usize, usize> = HashMap::new();
    // Of each open collection its anchor and the values before it.
    let mut open: Vec<(usize, usize)> = Vec::new();
    let mut all = 0_usize;
    let options = granit_parser::options! { emit_comments: false };
    for event in Parser::new_from_str_with_options(text, options) {
        let Ok((event, span)) = event else { break };
        match event {
            Event::Scalar(_, _, anchor, _) => {
                all += 1;
                sizes.insert(anchor, 1);
            }
            Event::MappingStart(_, anchor, _) | Event::SequenceStart(_, anchor, _) => {
                open.push((anchor, all));
                all += 1;
            }
            Event::MappingEnd | Event::SequenceEnd => {
                if let Some((anchor, before)) = open.pop() {
                    sizes.insert(anchor, all - before);
                }
            }
            Event::Alias(anchor) => {
                all = all.saturating_add(sizes.get(&anchor).copied().unwrap_or(1));
                if all > MAX_NODES {
                    return at(Mark::new(span.start.line() + lines, span.start.col() + 1));
                }
            }
            _ => {}
        }
    }
    at(mark)
}

fn index(number: u32) -> usize {
    usize::try_from(number)
        .unwrap_or(usize::MAX)
        .saturating_sub(1)
}

/// A key that is there twice, with where it is for the first time.
pub(super) fn duplicate(key: &str, mark: Mark, first: Option<Mark>) -> Problem {
    let problem = Problem::error(Code::DuplicateKey, format!("duplicate key{key}"));
    let line = first.map(|first| first.line);
    match line {
        Some(line) if mark.column == 1 && matches!(key, " `apiVersion`" | " `kind`") => problem
            .hint(format!(
                "the first one is on line {line}; between two objects put a line `---`"
            )),
        Some(line) => problem.hint(format!("the first one is on line {line}; keep one of them")),
        None => problem.hint("keep one of them"),
    }
}

fn excess(breach: &serde_saphyr::budget::BudgetBreach) -> String {
    use serde_saphyr::budget::BudgetBreach;
    match breach {
        BudgetBreach::Depth { .. } => format!("nested deeper than {MAX_DEPTH} levels"),
        BudgetBreach::Nodes { .. } | BudgetBreach::Events { .. } => {
            format!("more than {MAX_NODES} values after its aliases are expanded")
        }
        BudgetBreach::ScalarBytes { .. } => format!("more than {MAX_TEXT} bytes of text"),
        BudgetBreach::Aliases { .. } | BudgetBreach::Anchors { .. } => {
            format!("more than {MAX_ALIASES} anchors or aliases")
        }
        BudgetBreach::AliasAnchorRatio { .. } => "far more aliases than anchors".to_owned(),
        _ => "over a limit of the parser".to_owned(),
    }
}

/// The parser's words without its line and column, which are relative to the document.
fn message(error: &serde_saphyr::Error) -> String {
    let text = error.to_string();
    let first = text.lines().next().unwrap_or_default();
    let first = match first.strip_prefix("error: ").unwrap_or(first) {
        located if located.starts_with("line ") => {
            located.split_once(": ").map_or(located, |(_, rest)| rest)
        }
        plain => plain,
    };
    let end = first.find(" at line ").unwrap_or(first.len());
    first[..end].chars().take(300).collect()
}

enum Frame {
    /// Waiting for a key.
    Key,
    /// Waiting for the value of the key at the end of the pointer.
    Value(Mark),
    /// Waiting for the item with this index.
    Item(usize),
}

struct Walk {
    places: Places,
    frames: Vec<Frame>,
    /// The pointer of the innermost open collection, and of the key that waits for its value.
    pointers: Vec<String>,
    /// Depth inside a key that is itself a collection, which JSON has no pointer for.
    inside_key: usize,
}

/// Where each value stands. Aliases stand where they are written; what they expand to has no
/// places of its own, so the walk is linear whatever the aliases do.
fn places(file: &Arc<str>, text: &str, lines: usize) -> Places {
    let places = Places::new(Arc::clone(file), Mark::new(lines + 1, 1));
    let mut walk = Walk {
        places,
        frames: Vec::new(),
        pointers: Vec::new(),
        inside_key: 0,
    };
    // With comments, a long block of them is an error of its own.
    let options = granit_parser::options! { emit_comments: false };
    for event in Parser::new_from_str_with_options(text, options) {
        // The value was read from the same text already, so there is no fault left to report.
        let Ok((event, span)) = event else { break };
        let mark = Mark::new(span.start.line() + lines, span.start.col() + 1);
        match event {
            Event::Scalar(value, style, ..) => {
                let is_block = matches!(style, ScalarStyle::Literal | ScalarStyle::Folded);
                let header = is_block.then(|| walk.header(text, lines)).flatten();
                if style == ScalarStyle::Literal
                    && let Some(header) = header
                {
                    walk.block(text, header, lines);
                }
                walk.scalar(&value, header.unwrap_or(mark));
            }
            Event::Alias(_) => walk.scalar("*", mark),
            Event::MappingStart(..) => walk.open(Frame::Key, mark),
            Event::SequenceStart(..) => walk.open(Frame::Item(0), mark),
            Event::MappingEnd | Event::SequenceEnd => walk.close(),
            _ => {}
        }
    }
    walk.places
}

impl Walk {
    fn scalar(&mut self, text: &str, mark: Mark) {
        if self.inside_key > 0 {
            return;
        }
        if let (Some(frame @ Frame::Key), Some(parent)) =
            (self.frames.last_mut(), self.pointers.last())
        {
            *frame = Frame::Value(mark);
            let pointer = join(parent, text);
            self.pointers.push(pointer);
            return;
        }
        self.value(mark);
        self.done();
    }

    /// Where `|` or `>` of the block scalar that is the value of the last key stands.
    fn header(&self, text: &str, lines: usize) -> Option<Mark> {
        let Some(Frame::Value(key)) = self.frames.last() else {
            return None;
        };
        let line = text.split('\n').nth(index(key.line).checked_sub(lines)?)?;
        let line: Vec<char> = line.chars().collect();
        let at = line.iter().rposition(|c| matches!(c, '|' | '>'))?;
        (at >= index(key.column)).then(|| Mark {
            line: key.line,
            ..Mark::new(1, at + 1)
        })
    }

    /// Records where the text of a literal block scalar begins: below its header. Its first line
    /// that is not blank has the indentation of all, unless the header says otherwise.
    fn block(&mut self, text: &str, header: Mark, lines: usize) {
        let Some(pointer) = self.pointers.last() else {
            return;
        };
        let mut below = text
            .split('\n')
            .skip(index(header.line).saturating_sub(lines));
        let says = below
            .next()
            .and_then(|line| line.chars().nth(index(header.column) + 1));
        if says.is_some_and(|says| says.is_ascii_digit()) {
            return;
        }
        let first = below
            .find(|line| !line.trim().is_empty())
            .unwrap_or_default();
        let indentation = first.chars().take_while(|c| *c == ' ').count();
        let start = Mark {
            line: header.line.saturating_add(1),
            ..Mark::new(1, indentation + 1)
        };
        self.places.push_block(pointer, start);
    }

    fn open(&mut self, frame: Frame, mark: Mark) {
        if self.inside_key > 0 || matches!(self.frames.last(), Some(Frame::Key)) {
            self.inside_key += 1;
            return;
        }
        let pointer = self.value(mark);
        self.frames.push(frame);
        self.pointers.push(pointer);
    }

    fn close(&mut self) {
        if self.inside_key > 0 {
            self.inside_key -= 1;
            if self.inside_key == 0 {
                self.scalar("?", Mark::new(1, 1));
            }
            return;
        }
        self.frames.pop();
        self.pointers.pop();
        self.done();
    }

    /// Records the value that begins here; its pointer.
    fn value(&mut self, mark: Mark) -> String {
        let parent = self.pointers.last().map_or("", String::as_str);
        let (pointer, key) = match self.frames.last() {
            None => (String::new(), mark),
            Some(Frame::Item(index)) => (join(parent, &index.to_string()), mark),
            // The key's own pointer is on top while its value is awaited.
            Some(Frame::Value(key)) => (parent.to_owned(), *key),
            Some(Frame::Key) => (parent.to_owned(), mark),
        };
        self.places.push(&pointer, key, mark);
        pointer
    }

    /// The value is complete: its parent waits for the next one.
    fn done(&mut self) {
        match self.frames.last_mut() {
            Some(Frame::Item(index)) => *index += 1,
            Some(frame @ Frame::Value(_)) => {
                *frame = Frame::Key;
                self.pointers.pop();
            }
            Some(Frame::Key) | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn value(text: &str) -> Value {
        read(&"a.yaml".into(), text, 0)
            .unwrap_or_else(|problem| panic!("{problem}"))
            .value
    }

    #[test]
    fn plain_words_stay_what_they_were_written_as() {
        assert_eq!(
            value("[no, yes, on, 0755, 1_000, 1.20, ~, true, 012, 0x1f, 2026-01-01, 10:30]"),
            json!([
                "no",
                "yes",
                "on",
                "0755",
                "1_000",
                1.2,
                null,
                true,
                "012",
                31,
                "2026-01-01",
                "10:30"
            ])
        );
    }

    #[test]
    fn anchors_and_merge_keys_are_expanded() {
        assert_eq!(
            value("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}\nc: *a"),
            json!({"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 3}, "c": {"x": 1, "y": 2}})
        );
    }

    fn yaml() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\\\\\"'é/~{}\\[\\]:,#&*!|>%@ \n-]{0,6}".prop_map(Value::from),
            prop::sample::select(vec![
                "no", "0755", "1_000", "~", "null", "1e3", "0x1f", "---"
            ])
            .prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"'/~é:# ]{0,3}|no|07", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever is printed reads back as the same value, with a place for each of its parts.
        #[test]
        fn what_is_printed_reads_back_and_every_part_has_a_place(value in yaml()) {
            let text = serde_saphyr::to_string(&value).unwrap();
            let document = read(&"f".into(), &text, 0)
                .unwrap_or_else(|problem| panic!("{problem}\n{text}"));
            prop_assert_eq!(&document.value, &value, "{}", text);
            let mut open: Vec<(String, &Value)> = vec![(String::new(), &value)];
            while let Some((pointer, value)) = open.pop() {
                prop_assert!(document.places.has(&pointer), "{} in {}", pointer, text);
                match value {
                    Value::Array(items) => {
                        let item = |(i, v)| (join(&pointer, &usize::to_string(&i)), v);
                        open.extend(items.iter().enumerate().map(item));
                    }
                    Value::Object(map) => {
                        open.extend(map.iter().map(|(k, v)| (join(&pointer, k), v)));
                    }
                    _ => {}
                }
            }
        }
    }

    fn sorted(text: &str, lines: usize) -> Places {
        let mut places = places(&"f".into(), text, lines);
        places.sort();
        places
    }

    #[test]
    fn a_place_within_a_block_of_text_is_that_of_the_file() {
        let text = "a:\n  t: |\n\n    one\n      two\n  q: \"x\"\n  d: |2-\n     three\n";
        let within = |pointer: &str, line, column| {
            let mark = Mark { line, column };
            sorted(text, 10).within(pointer, mark).to_string()
        };
        assert_eq!(within("/a/t", 2, 1), "f:14:5");
        assert_eq!(within("/a/t", 3, 3), "f:15:7");
        assert_eq!(within("/a/q", 3, 3), "f:16:6");
        assert_eq!(within("/a/d", 1, 2), "f:17:6");
        assert_eq!(sorted(text, 10).value("/a/t").to_string(), "f:12:6");
    }

    #[test]
    fn hundreds_of_comment_lines_are_no_problem() {
        let text = format!("a:\n{}  - 1\n", "  # comment\n".repeat(500));
        assert_eq!(value(&text), json!({"a": [1]}));
        assert_eq!(sorted(&text, 0).value("/a/0").to_string(), "f:502:5");
    }

    #[test]
    fn every_value_stands_where_it_is_written() {
        let text = "a: 1\nlist:\n  - x: é\n    y: [1, {z: 2}]\n  - *q\n\"q/r\": |\n  text\nn:\n? [k]\n: v\nm: 1\n";
        let places = sorted(text, 10);
        for (pointer, key, place) in [
            ("", "11:1", "11:1"),
            ("/a", "11:1", "11:4"),
            ("/list", "12:1", "13:3"),
            ("/list/0", "13:5", "13:5"),
            ("/list/0/x", "13:5", "13:8"),
            ("/list/0/y/1/z", "14:13", "14:16"),
        ] {
            assert_eq!(
                places.key(pointer).to_string(),
                format!("f:{key}"),
                "{pointer}"
            );
            assert_eq!(
                places.value(pointer).to_string(),
                format!("f:{place}"),
                "{pointer}"
            );
        }
        // An unknown alias ends the events; without it the rest is there too.
        let places = sorted(&text.replace("*q", "0"), 10);
        for (pointer, key) in [("/q~1r", "16:1"), ("/n", "18:1"), ("/m", "21:1")] {
            assert_eq!(
                places.key(pointer).to_string(),
                format!("f:{key}"),
                "{pointer}"
            );
        }
    }
}
