//! A file as documents, each read alone: one that cannot be read does not take the others along.

use std::sync::Arc;

use serde_json::Value;

use super::place::Places;
use super::problem::{Code, Problem};
use super::{json, yaml};

/// One document and where its fields stand.
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) places: Places,
}

/// The documents of a file that say something, and what could not be read.
pub(super) fn read(file: &Arc<str>, text: &str) -> (Vec<Document>, Vec<Problem>) {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let named_json = file
        .rsplit('.')
        .next()
        .is_some_and(|end| end.eq_ignore_ascii_case("json"));
    let looks_json = matches!(text.trim_start().as_bytes().first(), Some(b'{' | b'['));
    // What begins with a brace may be JSON, or a YAML flow mapping that JSON would refuse.
    if named_json || looks_json {
        let (documents, problems) = json::read(file, text);
        if named_json || !problems.iter().any(|problem| problem.code == Code::BadJson) {
            return (documents, problems);
        }
    }
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    for part in split(text) {
        match yaml::read(file, part.text, part.line) {
            Ok(document) if document.value.is_null() => {}
            Ok(document) => documents.push(document),
            Err(mut problem) => {
                problem.confidential = may_hold_secret(part.text);
                problems.push(problem);
            }
        }
    }
    (documents, problems)
}

/// Whether a text that could not be parsed looks as if it declared a Secret.
pub(super) fn may_hold_secret(text: &str) -> bool {
    let quotes = ['"', '\''];
    text.contains("stringData")
        || text.match_indices("Secret").any(|(at, _)| {
            let before = text[..at].trim_end_matches(quotes).trim_end();
            before
                .strip_suffix(':')
                .is_some_and(|before| before.trim_end().trim_end_matches(quotes).ends_with("kind"))
        })
}

struct Part<'a> {
    text: &'a str,
    /// Lines of the file before it.
    line: usize,
}

/// Splits a YAML stream. A line that begins with `---` or `...` is a document marker wherever it
/// stands, even inside a quoted or a block scalar (YAML 1.2, 9.1.2), so lines are enough; and
/// unlike a parser, lines find the next document after one that is broken.
fn split(text: &str) -> Vec<Part<'_>> {
    let mut parts = Vec::new();
    let (mut start, mut first_line) = (0, 0);
    // Whether the part has more than what may stand before `---`: comments and directives.
    let mut begun = false;
    let mut offset = 0;
    for (number, line) in text.split_inclusive('\n').enumerate() {
        let next = offset + line.len();
        if is_marker(line, "---") {
            if begun {
                parts.push(Part {
                    text: &text[start..offset],
                    line: first_line,
                });
                (start, first_line) = (offset, number);
            }
            begun = true;
        } else if is_marker(line, "...") {
            if begun {
                parts.push(Part {
                    text: &text[start..next],
                    line: first_line,
                });
            }
            (start, first_line) = (next, number + 1);
            begun = false;
        } else if !line.starts_with('%') {
            let content = line.trim();
            begun |= !content.is_empty() && !content.starts_with('#');
        }
        offset = next;
    }
    if begun {
        parts.push(Part {
            text: &text[start..],
            line: first_line,
        });
    }
    parts
}

fn is_marker(line: &str, marker: &str) -> bool {
    line.strip_prefix(marker)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(char::is_whitespace))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(text: &str) -> Vec<(usize, &str)> {
        split(text)
            .iter()
            .map(|part| (part.line, part.text))
            .collect()
    }

    #[test]
    fn documents_keep_their_directives_and_line_numbers() {
        assert_eq!(texts(""), []);
        assert_eq!(texts("# only\n\n"), []);
        assert_eq!(texts("a: 1\n---\nb: 2"), [(0, "a: 1\n"), (1, "---\nb: 2")]);
        assert_eq!(
            texts("# c\n%YAML 1.2\n---\na: 1\n...\n# d\n--- {b: 2}\n---x: 3\n"),
            [
                (0, "# c\n%YAML 1.2\n---\na: 1\n...\n"),
                (5, "# d\n--- {b: 2}\n---x: 3\n")
            ]
        );
        assert_eq!(texts("---\n---\n"), [(0, "---\n"), (1, "---\n")]);
        assert_eq!(texts("t: |\n  ---\n  x\n"), [(0, "t: |\n  ---\n  x\n")]);
    }

    #[test]
    fn a_broken_text_that_declares_a_secret_is_known_as_one() {
        for secret in [
            "kind: Secret\ndata: [",
            "{\"kind\" : \"Secret\"",
            "stringData:\n\t",
        ] {
            assert!(may_hold_secret(secret), "{secret}");
        }
        assert!(!may_hold_secret(
            "kind: Server\nx: {secretKeyRef: [, adminPassSecretRef: s"
        ));
    }

    proptest! {
        /// The line-wise split finds the documents that the parser finds.
        #[test]
        fn the_parser_agrees_with_the_split(
            parts in prop::collection::vec(
                prop::sample::select(vec![
                    "a: 1\n", "- x\n", "t: |\n  --- not one\n\n  x\n", "'q:\n  ---'\n", "# c\n", "\n",
                    "{a: [1,\n 2]}\n",
                ]),
                0..6,
            )
        ) {
            let text = parts.iter().map(|part| format!("---\n{part}")).collect::<String>();
            let mut lines = Vec::new();
            for event in granit_parser::Parser::new_from_str(&text) {
                let (event, span) = event.unwrap();
                if let granit_parser::Event::DocumentStart(..) = event {
                    lines.push(span.start.line() - 1);
                }
            }
            let ours: Vec<usize> = split(&text).iter().map(|part| part.line).collect();
            prop_assert_eq!(ours, lines);
        }
    }
}
