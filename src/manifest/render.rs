//! A problem as a person reads it: what is wrong, the source line with carets, the hint.
//!
//! Text only. Whether the terminal takes colours is the command line's business.

use owo_colors::Style;

use super::Problem;
use super::problem::Severity;

/// How the parts of a rendered problem look; plain by default.
#[derive(Debug, Clone, Copy, Default)]
pub struct Looks {
    /// `error[...]`, and the carets below it.
    pub error: Style,
    /// `warning[...]`, and the carets below it.
    pub warning: Style,
    /// Arrow, line numbers and bars.
    pub margin: Style,
    /// `hint:`
    pub hint: Style,
}

impl Problem {
    /// The problem with the line that it is about, given the text of the file that `origin` names.
    ///
    /// ```text
    /// error[unknown-field]: spec.resource.flavourRef: unknown field (Server/db)
    ///   --> db.yaml:7:5
    ///    |
    ///  7 |     flavourRef: small
    ///    |     ^^^^^^^^^^
    ///    = hint: did you mean `flavorRef`?
    /// ```
    #[must_use]
    pub fn render(&self, text: Option<&str>) -> String {
        self.render_in(text, &Looks::default())
    }

    /// The same in colours.
    #[must_use]
    pub fn render_in(&self, text: Option<&str>, looks: &Looks) -> String {
        let loud = match self.severity {
            Severity::Error => looks.error,
            Severity::Warning => looks.warning,
        };
        let headline = self.headline();
        let (label, rest) = headline.split_once(": ").unwrap_or((&headline, ""));
        let mut out = format!("{}: {rest}\n", loud.style(label));
        let mut margin = " ".to_owned();
        if let Some(origin) = &self.origin {
            let number = origin.line.to_string();
            margin = " ".repeat(number.len());
            out.push_str(&format!("{margin}{} {origin}\n", looks.margin.style("-->")));
            if let Some((line, at, length)) = self.excerpt(text) {
                let bar = looks.margin.style("|");
                out.push_str(&format!(
                    "{margin} {bar}\n{} {bar} {line}\n{margin} {bar} {}{}\n",
                    looks.margin.style(&number),
                    " ".repeat(at),
                    loud.style("^".repeat(length)),
                ));
            }
        }
        if let Some(hint) = &self.hint {
            out.push_str(&format!(
                "{margin} {} {} {}\n",
                looks.margin.style("="),
                looks.hint.style("hint:"),
                harmless(hint)
            ));
        }
        out
    }

    /// The column behind what the problem is about, for editors; `None` if its line is not known or
    /// not shown.
    #[must_use]
    pub fn end_column(&self, text: Option<&str>) -> Option<u32> {
        let origin = self.origin.as_ref()?;
        let line = self.source(text)?;
        let before = usize::try_from(origin.column)
            .unwrap_or(1)
            .saturating_sub(1);
        let length = extent(&line.chars().skip(before).collect::<Vec<char>>());
        Some(
            origin
                .column
                .saturating_add(u32::try_from(length).unwrap_or(1)),
        )
    }

    fn source<'t>(&self, text: Option<&'t str>) -> Option<&'t str> {
        let line = self.origin.as_ref()?.line;
        let index = usize::try_from(line).ok()?.checked_sub(1)?;
        let text = text.filter(|_| !self.confidential)?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        Some(text.split('\n').nth(index)?.trim_end_matches('\r'))
    }

    /// The part of the source line that is shown, what stands before the carets, and their number.
    fn excerpt(&self, text: Option<&str>) -> Option<(String, usize, usize)> {
        const BEFORE: usize = 60;
        const WIDTH: usize = 100;
        let line = self.source(text)?;
        let column = usize::try_from(self.origin.as_ref()?.column)
            .unwrap_or(1)
            .saturating_sub(1);
        // A line that fits is shown as it is.
        let fits = line.chars().nth(WIDTH).is_none();
        let skip = if fits {
            0
        } else {
            column.saturating_sub(BEFORE)
        };
        let shown: Vec<char> = line.chars().skip(skip).take(WIDTH).collect();
        let at = (column - skip).min(shown.len());
        let length = extent(shown.get(at..).unwrap_or_default());
        let shown: String = shown.into_iter().map(visible).collect();
        Some((shown.trim_end().to_owned(), at, length))
    }
}

fn visible(character: char) -> char {
    match character {
        '\t' => ' ',
        other if other.is_control() => '\u{fffd}',
        other => other,
    }
}

/// Text without control characters: what a manifest says must not steer the terminal of who reads
/// about it.
pub(super) fn harmless(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

/// How many characters belong to what begins here: a key, a value, a bracket with what is in it, at
/// least one.
fn extent(rest: &[char]) -> usize {
    let length = match rest {
        [] => 1,
        ['"' | '\'', ..] => quoted(rest).unwrap_or(rest.len()),
        ['[' | '{', ..] => bracketed(rest).unwrap_or(1),
        [first, ..] if first.is_whitespace() => 1,
        ['-', next, ..] if next.is_whitespace() => 1,
        [',' | ']' | '}' | ':', ..] => 1,
        ['*' | '&' | '|' | '>', ..] => word(rest),
        _ => plain(rest),
    };
    let blanks = |length: &usize| rest.get(length - 1).is_some_and(|c| c.is_whitespace());
    let mut length = length.clamp(1, rest.len().max(1));
    while length > 1 && blanks(&length) {
        length -= 1;
    }
    length
}

/// The length of what stands in quotes, with them.
fn quoted(rest: &[char]) -> Option<usize> {
    let quote = *rest.first()?;
    let mut at = 1;
    while let Some(&character) = rest.get(at) {
        match character {
            '\\' if quote == '"' => at += 1,
            _ if character != quote => {}
            '\'' if rest.get(at + 1) == Some(&'\'') => at += 1,
            _ => return Some(at + 1),
        }
        at += 1;
    }
    None
}

/// The length of what stands in brackets, with them; `None` if they are not closed on this line.
fn bracketed(rest: &[char]) -> Option<usize> {
    let (mut open, mut at) = (Vec::new(), 0);
    while let Some(&character) = rest.get(at) {
        match character {
            '[' => open.push(']'),
            '{' => open.push('}'),
            ']' | '}' if open.pop() != Some(character) => return None,
            '"' | '\'' => at += quoted(rest.get(at..)?)? - 1,
            _ => {}
        }
        at += 1;
        if open.is_empty() {
            return Some(at);
        }
    }
    None
}

/// The length of what ends at a blank or a bracket.
fn word(rest: &[char]) -> usize {
    let ends = |c: &char| c.is_whitespace() || matches!(c, ',' | ']' | '}');
    rest.iter().position(ends).unwrap_or(rest.len())
}

/// The length of text without quotes: it ends before what YAML gives a meaning.
fn plain(rest: &[char]) -> usize {
    let ends = |at: usize| rest.get(at + 1).is_none_or(|c| c.is_whitespace());
    let mut depth = 0_usize;
    for (at, &character) in rest.iter().enumerate() {
        match character {
            ':' | ',' if ends(at) => return at,
            '#' if at > 0 && rest.get(at - 1).is_some_and(|c| c.is_whitespace()) => return at,
            '[' | '{' => depth += 1,
            ']' | '}' if depth == 0 => return at,
            ']' | '}' => depth -= 1,
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::problem::Code;
    use crate::manifest::{Key, Origin};

    fn problem(line: u32, column: u32) -> Problem {
        Problem::error(Code::UnknownField, "spec.x: unknown field")
            .at(Origin {
                file: "a.yaml".into(),
                line,
                column,
            })
            .about(Key::new("Server", "default", "db"))
            .hint("did you mean `y`?")
    }

    #[test]
    fn the_caret_stands_below_the_place() {
        assert_eq!(
            problem(2, 3).render(Some("a: 1\n\té\u{1b}[31mfoo: bar\n")),
            "error[unknown-field]: spec.x: unknown field (Server/db)\n --> a.yaml:2:3\n  |\n2 |  \
             é\u{fffd}[31mfoo: bar\n  |   ^^^^^^^^\n  = hint: did you mean `y`?\n"
        );
    }

    #[test]
    fn a_line_that_may_hold_a_secret_or_is_not_there_is_not_shown() {
        let confidential = Problem {
            confidential: true,
            ..problem(1, 1)
        };
        assert!(!confidential.render(Some("hunter2")).contains("hunter2"));
        assert_eq!(confidential.end_column(Some("hunter2")), None);
        assert!(!problem(7, 1).render(Some("hunter2")).contains("hunter2"));
    }

    #[test]
    fn the_carets_cover_what_the_problem_is_about() {
        for (rest, length) in [
            ("flavourRef: small", 10),
            ("10 minutes", 10),
            ("30 minutes # long", 10),
            ("\"a: b\": 1", 6),
            ("'it''s', x", 7),
            ("[a, \"]\"], b", 8),
            ("{a: {b: 1}}}", 11),
            ("[a,", 1),
            ("[a}", 1),
            ("- a", 1),
            ("-1", 2),
            (": x", 1),
            ("10:30, x", 5),
            ("a, b]", 1),
            ("b]", 1),
            ("<<<<<<< HEAD", 12),
            ("*all* of it", 5),
            ("*a, *b]", 2),
            ("\tname", 1),
            ("", 1),
        ] {
            let rest_of_line: Vec<char> = rest.chars().collect();
            assert_eq!(extent(&rest_of_line), length, "{rest}");
        }
    }

    #[test]
    fn colours_are_around_the_same_text() {
        let looks = Looks {
            error: Style::new().red(),
            margin: Style::new().blue(),
            ..Looks::default()
        };
        let (text, problem) = (Some("a: 1\nb: 2\n"), problem(2, 1));
        let coloured = problem.render_in(text, &looks);
        assert!(coloured.contains("\u{1b}[31m^\u{1b}"), "{coloured:?}");
        assert_eq!(
            anstream::adapter::strip_str(&coloured).to_string(),
            problem.render(text)
        );
    }
}
