//! JSON files: the values by `serde_json`, their places and doubled keys by a walk over the text.

use std::collections::HashSet;
use std::sync::Arc;

use serde_json::Value;

use super::documents::{Document, may_hold_secret};
use super::place::{Mark, Origin, Places, join};
use super::problem::{Code, Problem};
use super::suggest::quote;
use super::yaml::duplicate;

/// Reads a file of one or several JSON values.
pub(super) fn read(file: &Arc<str>, text: &str) -> (Vec<Document>, Vec<Problem>) {
    let (mut documents, mut problems) = (Vec::new(), Vec::new());
    let stream = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    let mut walk = Walk {
        text,
        at: 0,
        mark: Mark { line: 1, column: 1 },
    };
    for value in stream {
        match value {
            Ok(value) => {
                walk.space();
                let mut places = Places::new(Arc::clone(file), walk.mark);
                let mut doubled = Vec::new();
                walk.value("", walk.mark, &mut places, &mut doubled);
                let doubled: Vec<(String, Mark, Option<Mark>)> = doubled
                    .into_iter()
                    .map(|(key, mark)| (key, mark, places.first_of(mark)))
                    .collect();
                places.sort();
                if doubled.is_empty() {
                    if !value.is_null() {
                        documents.push(Document { value, places });
                    }
                    continue;
                }
                problems.extend(doubled.into_iter().map(|(key, mark, first)| {
                    duplicate(&format!(" `{}`", quote(&key)), mark, first).at(origin(file, mark))
                }));
            }
            Err(error) => {
                let said = error.to_string();
                let said = &said[..said.rfind(" at line ").unwrap_or(said.len())];
                let mark = if error.is_eof() {
                    end(text)
                } else {
                    Mark::new(error.line().max(1), error.column().max(1))
                };
                let mut problem = Problem::error(Code::BadJson, format!("not JSON: {said}"))
                    .at(origin(file, mark));
                problem.hint = advice(said, text, mark).map(str::to_owned);
                problems.push(problem);
                break;
            }
        }
    }
    let confidential = !problems.is_empty() && may_hold_secret(text);
    for problem in &mut problems {
        problem.confidential = confidential;
    }
    (documents, problems)
}

/// The last character that says something.
fn end(text: &str) -> Mark {
    let text = text.trim_end();
    let line = text.split('\n').count();
    let last = text.rsplit('\n').next().unwrap_or_default();
    Mark::new(line, last.chars().count().max(1))
}

/// What helps with the mistakes that people make most.
fn advice(said: &str, text: &str, mark: Mark) -> Option<&'static str> {
    let (line, column) = (
        usize::try_from(mark.line).ok()?,
        usize::try_from(mark.column).ok()?,
    );
    let line = text.split('\n').nth(line - 1).unwrap_or_default();
    let mut here = line.chars().skip(column - 1);
    let (first, second) = (here.next(), here.next());
    Some(match said {
        _ if first == Some('#') || (first, second) == (Some('/'), Some('/')) => {
            "JSON has no comments; YAML has: rename the file to .yaml"
        }
        said if said.starts_with("trailing comma") => "remove the last comma",
        said if said.starts_with("EOF") => "the end is missing: close every bracket and quote",
        said if said.starts_with("expected `,`") => "put a comma behind what stands before this",
        said if said.starts_with("expected `:`") => "put a colon between the key and its value",
        said if said.starts_with("key must be a string") => "put keys in double quotes",
        said if said.starts_with("control character") => "write line breaks in text as `\\n`",
        said if said.starts_with("trailing characters") => {
            "one bracket too many was closed before this"
        }
        _ if mark.line == 1 && mark.column == 1 => "a file of YAML is named .yaml",
        _ => "put text in double quotes; true, false, null and numbers stand without",
    })
}

fn origin(file: &Arc<str>, mark: Mark) -> Origin {
    Origin {
        file: Arc::clone(file),
        line: mark.line,
        column: mark.column,
    }
}

/// A walk over text that `serde_json` has accepted already: it may trust the grammar, and the
/// parser's own limit bounds the depth.
struct Walk<'a> {
    text: &'a str,
    at: usize,
    mark: Mark,
}

impl<'a> Walk<'a> {
    fn value(
        &mut self,
        pointer: &str,
        key: Mark,
        places: &mut Places,
        doubled: &mut Vec<(String, Mark)>,
    ) {
        places.push(pointer, key, self.mark);
        match self.peek() {
            Some('{') => {
                self.step();
                let mut seen = HashSet::new();
                loop {
                    self.separators();
                    if self.peek() != Some('"') {
                        break;
                    }
                    let key_mark = self.mark;
                    let name: String =
                        serde_json::from_str(self.string()).unwrap_or_else(|_| String::new());
                    self.separators();
                    self.value(&join(pointer, &name), key_mark, places, doubled);
                    if let Some(name) = seen.replace(name) {
                        doubled.push((name, key_mark));
                    }
                }
                self.step();
            }
            Some('[') => {
                self.step();
                for index in 0_usize.. {
                    self.separators();
                    if matches!(self.peek(), Some(']') | None) {
                        break;
                    }
                    self.value(
                        &join(pointer, &index.to_string()),
                        self.mark,
                        places,
                        doubled,
                    );
                }
                self.step();
            }
            Some('"') => {
                self.string();
            }
            _ => {
                while self
                    .peek()
                    .is_some_and(|c| !c.is_whitespace() && !",]}".contains(c))
                {
                    self.step();
                }
            }
        }
    }

    /// Steps over a string; its text with the quotes.
    fn string(&mut self) -> &'a str {
        let start = self.at;
        self.step();
        while let Some(character) = self.peek() {
            self.step();
            match character {
                '\\' => self.step(),
                '"' => break,
                _ => {}
            }
        }
        &self.text[start..self.at]
    }

    fn space(&mut self) {
        while self.peek().is_some_and(char::is_whitespace) {
            self.step();
        }
    }

    fn separators(&mut self) {
        while self
            .peek()
            .is_some_and(|c| c.is_whitespace() || c == ',' || c == ':')
        {
            self.step();
        }
    }

    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn step(&mut self) {
        if let Some(character) = self.peek() {
            self.at += character.len_utf8();
            if character == '\n' {
                self.mark = Mark {
                    line: self.mark.line.saturating_add(1),
                    column: 1,
                };
            } else {
                self.mark.column = self.mark.column.saturating_add(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn values_stand_where_they_are_written_and_several_may_follow() {
        let (documents, problems) = read(
            &"f".into(),
            "{\"a\": [1, {\"é\\n\": -2.5e3}],\n \"b\": \"}\"}\n{\"c\":{}}",
        );
        assert_eq!(problems, []);
        let places: Vec<&Places> = documents.iter().map(|document| &document.places).collect();
        assert_eq!(places[0].value("/a/1/é\n").to_string(), "f:1:19");
        assert_eq!(places[0].key("/b").to_string(), "f:2:2");
        assert_eq!(places[1].value("/c").to_string(), "f:3:6");
    }

    #[test]
    fn doubled_keys_are_found_however_they_are_escaped() {
        let (documents, problems) = read(&"f".into(), r#"{"a": 1, "b": {"x": 1, "\u0078": 2}}"#);
        assert!(documents.is_empty());
        assert_eq!(problems.len(), 1);
        assert_eq!(
            problems[0].to_string(),
            "f:1:24: error[duplicate-key]: duplicate key `x`\n  \
             hint: the first one is on line 1; keep one of them"
        );
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[a\\\\\"é/~{}\\[\\]:, \n]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"\\\\/~é:]{0,3}", inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        /// Whatever is printed: at the place of each pointer stands the value of that pointer.
        #[test]
        fn at_each_place_stands_the_value_of_its_pointer(value in json(), pretty: bool) {
            let text = if pretty {
                serde_json::to_string_pretty(&value).unwrap()
            } else {
                value.to_string()
            };
            let (documents, problems) = read(&"f".into(), &text);
            prop_assert!(problems.is_empty());
            let mut open: Vec<(String, &Value)> = vec![(String::new(), &value)];
            while let Some((pointer, value)) = open.pop() {
                let Some(document) = documents.first() else { break };
                let origin = document.places.value(&pointer);
                let line = text.split('\n').nth(origin.line as usize - 1).unwrap();
                let rest: String = line.chars().skip(origin.column as usize - 1).collect();
                let rest = format!("{rest}\n{}", text.split('\n').skip(origin.line as usize).collect::<Vec<_>>().join("\n"));
                let mut found = serde_json::Deserializer::from_str(&rest).into_iter::<Value>();
                prop_assert_eq!(&found.next().unwrap().unwrap(), value);
                match value {
                    Value::Array(items) => open.extend(items.iter().enumerate().map(|(i, v)| (join(&pointer, &i.to_string()), v))),
                    Value::Object(map) => open.extend(map.iter().map(|(k, v)| (join(&pointer, k), v))),
                    _ => {}
                }
            }
        }
    }
}
