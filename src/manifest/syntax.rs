//! What is wrong with text that is not YAML: the mistake itself, which is often not where the parser
//! noticed it, and what helps.
//!
//! Only looked at once the text is known not to be YAML; no judge of its own.

use granit_parser::{ErrorKind, Event, Parser, ScanError};

use super::place::Mark;

/// The mistake, at its place within the text.
pub(super) struct Fault {
    pub(super) mark: Mark,
    pub(super) message: String,
    pub(super) hint: String,
}

/// The first mistake of a text; `None` if the parser finds none.
pub(super) fn fault(text: &str) -> Option<Fault> {
    let lines = Lines(
        text.split('\n')
            .map(|it| it.trim_end_matches('\r'))
            .collect(),
    );
    if let Some(index) = lines.0.iter().position(|line| line.starts_with("<<<<<<< ")) {
        return Some(Fault {
            mark: Mark::new(index + 1, 1),
            message: "a merge conflict that is not resolved".to_owned(),
            hint:
                "keep one of the two sides, and remove the lines with <<<<<<<, ======= and >>>>>>>"
                    .to_owned(),
        });
    }
    let options = granit_parser::options! { emit_comments: false };
    // Whatever is not closed is a bracket that was seen, or begins behind the last thing that was.
    let mut seen = Seen {
        behind: Mark::new(1, 1),
        open: Vec::new(),
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = match event {
            Ok(seen) => seen,
            Err(error) => return Some(lines.explain(&error, &seen)),
        };
        match event {
            Event::MappingStart(..) | Event::SequenceStart(..) => {
                seen.open
                    .push(Mark::new(span.start.line(), span.start.col() + 1));
            }
            Event::MappingEnd | Event::SequenceEnd => {
                let _: Option<Mark> = seen.open.pop();
            }
            _ => {}
        }
        seen.behind = seen
            .behind
            .max(Mark::new(span.end.line(), span.end.col() + 1));
    }
    None
}

/// What the parser understood before it gave up.
struct Seen {
    /// Where that ends.
    behind: Mark,
    /// Where the collections begin that are not at their end.
    open: Vec<Mark>,
}

struct Lines<'a>(Vec<&'a str>);

impl Lines<'_> {
    fn explain(&self, error: &ScanError, seen: &Seen) -> Fault {
        let mark = Mark::new(error.marker().line(), error.marker().col() + 1);
        let fault = |mark: Mark, message: &str, hint: &str| Fault {
            mark,
            message: message.to_owned(),
            hint: hint.to_owned(),
        };
        match error.kind() {
            ErrorKind::TabNotAllowed
            | ErrorKind::TabInBlockIndentation
            | ErrorKind::TabInIndentation
            | ErrorKind::TabInPlainScalar
            | ErrorKind::TabAtBlockScalarStart => {
                let hint = "indent with spaces: YAML takes no tabs there";
                fault(self.tab(mark), "a tab in the indentation", hint)
            }
            ErrorKind::UnclosedQuotedScalar
            | ErrorKind::InvalidQuotedScalarIndent
            | ErrorKind::DocumentIndicatorInQuotedScalar => match self.open_quote(seen.behind) {
                Some((quote, mark)) => Fault {
                    mark,
                    message: "the quote that begins here is not closed".to_owned(),
                    hint: format!("close it with `{quote}`"),
                },
                None => fault(mark, "a quote that is not closed", "close it"),
            },
            ErrorKind::InvalidTrailingDoubleQuotedScalar => fault(
                mark,
                "text after the closing quote",
                "put all of it between the quotes, and write a quote within them as `\\\"`",
            ),
            ErrorKind::InvalidTrailingSingleQuotedScalar => fault(
                mark,
                "text after the closing quote",
                "put all of it between the quotes, and write a quote within them as `''`",
            ),
            ErrorKind::UnknownQuotedScalarEscape => fault(
                mark,
                "a backslash in double quotes that means nothing",
                "write `\\\\` for a backslash, or put the text in single quotes",
            ),
            ErrorKind::MismatchedFlowCollectionEnd { open, close } => Fault {
                mark,
                message: format!("`{open}` is closed by `{close}`"),
                hint: format!("close it with `{}`", closing(*open)),
            },
            ErrorKind::MisplacedFlowCollectionEnd => fault(
                mark,
                "a bracket that closes nothing",
                "remove it, or put the text that it belongs to in quotes",
            ),
            ErrorKind::UnclosedFlowCollection { .. }
            | ErrorKind::UnexpectedEofFlowMapping
            | ErrorKind::UnexpectedEofFlowSequence
            | ErrorKind::UnexpectedEofImplicitFlowMapping
            | ErrorKind::ExpectedFlowMappingSeparator
            | ErrorKind::ExpectedFlowSequenceSeparator
            | ErrorKind::InvalidFlowScalarIndent
            | ErrorKind::BlockEntryInFlowCollection => self.bracket(mark, seen),
            ErrorKind::MappingValueNotAllowed
            | ErrorKind::SimpleKeyExpected
            | ErrorKind::InvalidSimpleKey
            | ErrorKind::InvalidMappingValueWhitespace
            | ErrorKind::InvalidColonPlacement => self.colon(mark, seen),
            ErrorKind::ExpectedBlockMappingKey
            | ErrorKind::ExpectedBlockSequenceEntry
            | ErrorKind::InvalidIndentation
            | ErrorKind::ExpectedDocumentStart => match self.open_bracket(seen) {
                Some((_, at)) if at.line < mark.line => self.bracket(mark, seen),
                _ => self.indentation(mark),
            },
            ErrorKind::BlockSequenceEntryNotAllowed => fault(
                mark,
                "a list item where none can be",
                "begin the list on a line of its own below its field, each item with `- `",
            ),
            ErrorKind::UnexpectedCharacter { character } => Fault {
                mark,
                message: format!("plain text cannot begin with `{character}`"),
                hint: format!("put text that begins with `{character}` in quotes"),
            },
            ErrorKind::UnknownAnchor => fault(
                mark,
                "an alias to an anchor that is not there",
                "anchors end with their document; if it is text, put it in quotes",
            ),
            kind => Fault {
                mark,
                message: kind.to_string(),
                hint: "put text with special characters in quotes, and look at the line before too"
                    .to_owned(),
            },
        }
    }

    fn line(&self, number: u32) -> &str {
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        self.0
            .get(index.wrapping_sub(1))
            .copied()
            .unwrap_or_default()
    }

    /// The first tab before a line's text, else in the line.
    fn tab(&self, mark: Mark) -> Mark {
        let line = self.line(mark.line);
        let column = line.chars().position(|c| c == '\t');
        column.map_or(mark, |at| Mark {
            line: mark.line,
            ..Mark::new(1, at + 1)
        })
    }

    fn bracket(&self, mark: Mark, seen: &Seen) -> Fault {
        match self.open_bracket(seen) {
            Some((open, at)) => Fault {
                mark: at,
                message: format!("`{open}` is not closed"),
                hint: format!("close it with `{}`", closing(open)),
            },
            None => Fault {
                mark,
                message: "a comma is missing before this, or quotes around it".to_owned(),
                hint: "within brackets, items are separated by `,`".to_owned(),
            },
        }
    }

    /// A `:` where none can be: text with a colon, or a line that does not go with those around it.
    fn colon(&self, mark: Mark, seen: &Seen) -> Fault {
        if let Some((_, at)) = self.open_bracket(seen)
            && at.line < mark.line
        {
            return self.bracket(mark, seen);
        }
        let line = self.line(mark.line);
        let before: String = line.chars().take(columns(mark.column)).collect();
        if before.contains(": ") {
            return Fault {
                mark,
                message: "a second `: ` on one line".to_owned(),
                hint: "put text that holds `: ` in quotes".to_owned(),
            };
        }
        let here = Mark {
            line: mark.line,
            ..Mark::new(1, indentation(line) + 1)
        };
        let Some((number, above)) = self.above(mark.line) else {
            return self.indentation(mark);
        };
        let at = Mark {
            line: number,
            ..Mark::new(1, indentation(above) + 1)
        };
        match above.trim_start_matches([' ', '-']).split_once(':') {
            Some((name, value))
                if value.starts_with(' ') && indentation(line) > indentation(above) =>
            {
                Fault {
                    mark: here,
                    message: format!(
                        "deeper than the field above it, `{}`, which has a value",
                        short(name)
                    ),
                    hint: format!("begin it in column {}", at.column),
                }
            }
            Some((name, value)) if !value.is_empty() && !value.starts_with(' ') => Fault {
                mark: at,
                message: "no space after `:`".to_owned(),
                hint: format!("write `{}: ` before the value", short(name)),
            },
            None => Fault {
                mark: at,
                message: "neither a field nor a list item".to_owned(),
                hint: "write a field as `name: value`, a list item as `- value`".to_owned(),
            },
            Some(_) => self.indentation(here),
        }
    }

    fn indentation(&self, mark: Mark) -> Fault {
        let line = self.line(mark.line);
        let own = indentation(line);
        let mut columns = Vec::new();
        let mut least = usize::MAX;
        let mut number = mark.line;
        while let Some((above, text)) = self.above(number) {
            let depth = indentation(text);
            if depth < least {
                columns.push(depth + 1);
                least = depth;
            }
            number = above;
        }
        columns.reverse();
        let columns: Vec<String> = columns.iter().map(ToString::to_string).collect();
        Fault {
            mark: Mark {
                line: mark.line,
                ..Mark::new(1, own + 1)
            },
            message: "the indentation does not fit what is around it".to_owned(),
            hint: match columns.as_slice() {
                [] => "begin in column 1".to_owned(),
                [only] => format!("what is above begins in column {only}"),
                [first @ .., last] => {
                    format!(
                        "what is above begins in column {} or {last}",
                        first.join(", ")
                    )
                }
            },
        }
    }

    /// The nearest line above that says something.
    fn above(&self, number: u32) -> Option<(u32, &str)> {
        (1..number)
            .rev()
            .map(|number| (number, self.line(number)))
            .find(|(_, line)| {
                let text = line.trim();
                !text.is_empty() && !text.starts_with('#')
            })
    }

    /// The quote behind a place that is closed nowhere.
    fn open_quote(&self, behind: Mark) -> Option<(char, Mark)> {
        let mut open = None;
        self.scan(behind, |character, mark, quoted| {
            open = quoted.map(|_| open.unwrap_or((character, mark)));
        });
        open
    }

    /// The innermost bracket that is closed nowhere.
    fn open_bracket(&self, seen: &Seen) -> Option<(char, Mark)> {
        let bracket = |mark: &Mark| {
            let character = self.line(mark.line).chars().nth(columns(mark.column))?;
            matches!(character, '[' | '{').then_some((character, *mark))
        };
        let mut open: Vec<(char, Mark)> = seen.open.iter().filter_map(bracket).collect();
        self.scan(seen.behind, |character, mark, quoted| match character {
            _ if quoted.is_some() => {}
            '[' | '{' => open.push((character, mark)),
            ']' | '}' => {
                let _ = open.pop();
            }
            _ => {}
        });
        open.last().copied()
    }

    /// Shows every character from a place on that is no comment, with the quote that it stands in
    /// or opens.
    fn scan(&self, from: Mark, mut show: impl FnMut(char, Mark, Option<char>)) {
        let mut quoted: Option<char> = None;
        for (index, line) in self.0.iter().enumerate().skip(columns(from.line)) {
            let skip = if index == columns(from.line) {
                columns(from.column)
            } else {
                0
            };
            let mut before = ' ';
            let mut escaped = false;
            for (at, character) in line.chars().enumerate() {
                let begins = " :,[{(".contains(before) || at == 0;
                if at >= skip {
                    let mark = Mark::new(index + 1, at + 1);
                    match quoted {
                        Some(_) if escaped => escaped = false,
                        Some('"') if character == '\\' => escaped = true,
                        // Two single quotes are one within text.
                        Some('\'') if character == '\'' && after(line, at) == Some('\'') => {
                            escaped = true;
                        }
                        Some(quote) if character == quote => {
                            show(character, mark, None);
                            quoted = None;
                            before = character;
                            continue;
                        }
                        Some(_) => {}
                        None if matches!(character, '"' | '\'') && begins => {
                            quoted = Some(character);
                        }
                        None if character == '#' && (before == ' ' || at == 0) => break,
                        None => {}
                    }
                    show(character, mark, quoted);
                }
                before = character;
            }
        }
    }
}

fn after(line: &str, at: usize) -> Option<char> {
    line.chars().nth(at + 1)
}

const fn closing(open: char) -> char {
    if open == '[' { ']' } else { '}' }
}

/// What stands before a line or column, from 1.
fn columns(number: u32) -> usize {
    usize::try_from(number)
        .unwrap_or(usize::MAX)
        .saturating_sub(1)
}

fn indentation(line: &str) -> usize {
    line.chars().take_while(|c| *c == ' ').count()
}

fn short(name: &str) -> String {
    super::suggest::quote(name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mistake_is_found_before_where_it_was_noticed() {
        for (text, place, message) in [
            ("a:\n\tb: 1\n", (2, 1), "a tab in the indentation"),
            (
                "a: \"x\nb: 1\nc: 2\n",
                (1, 4),
                "the quote that begins here is not closed",
            ),
            (
                "a: 'it''s\nb: 1\n",
                (1, 4),
                "the quote that begins here is not closed",
            ),
            ("a: 'b'\nc: [1, 2\nd: 3\n", (2, 4), "`[` is not closed"),
            ("a: {b: 1\nc: {d: 2}\n", (1, 4), "`{` is not closed"),
            ("a: [1, 2}\n", (1, 4), "`[` is closed by `}`"),
            ("a: b: c\n", (1, 5), "a second `: ` on one line"),
            (
                "a: 1\n  b: 2\n",
                (2, 3),
                "deeper than the field above it, `a`, which has a value",
            ),
            ("a:1\nb: 2\n", (1, 1), "no space after `:`"),
            ("a 1\nb: 2\n", (1, 1), "neither a field nor a list item"),
            (
                "a:\n  b: 1\n c: 2\n",
                (3, 2),
                "the indentation does not fit what is around it",
            ),
            ("a: @b\n", (1, 4), "plain text cannot begin with `@`"),
            ("a: \"x\" y\n", (1, 8), "text after the closing quote"),
            (
                "a: 1\n<<<<<<< HEAD\n",
                (2, 1),
                "a merge conflict that is not resolved",
            ),
        ] {
            let fault = fault(text).unwrap();
            let mark = (fault.mark.line, fault.mark.column);
            assert_eq!((mark, fault.message.as_str()), (place, message), "{text}");
            assert!(!fault.hint.is_empty());
        }
        assert!(fault("a: [1, '2']\n").is_none());
    }
}
