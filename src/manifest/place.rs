//! Places in files: where a field stands, found by its JSON pointer.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

/// A place in a file. Lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Origin {
    /// Path of the file as it was given to the parser.
    #[serde(serialize_with = "as_text")]
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Origin {
    /// The first character of a file.
    #[must_use]
    pub fn start(file: impl Into<Arc<str>>) -> Self {
        Self {
            file: file.into(),
            line: 1,
            column: 1,
        }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

fn as_text<S: serde::Serializer>(text: &str, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

/// Line and column, without the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mark {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Mark {
    /// A mark from a parser's counts; one that does not fit is the last that does.
    pub(super) fn new(line: usize, column: usize) -> Self {
        let fit = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
        Self {
            line: fit(line),
            column: fit(column),
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
struct Place {
    pointer: Box<str>,
    key: Mark,
    value: Mark,
}

/// Where every field of one object stands, by JSON pointer.
#[derive(Debug, Clone, PartialEq)]
pub struct Places {
    file: Arc<str>,
    /// Sorted by pointer; the first one is the root, with the empty pointer.
    places: Vec<Place>,
    /// Where the texts of literal block scalars begin: their first line, their first column.
    blocks: Vec<(Box<str>, Mark)>,
}

impl Places {
    pub(super) fn new(file: Arc<str>, start: Mark) -> Self {
        Self {
            file,
            places: vec![Place {
                pointer: "".into(),
                key: start,
                value: start,
            }],
            blocks: Vec::new(),
        }
    }

    /// Adds where the text of a literal block scalar begins.
    pub(super) fn push_block(&mut self, pointer: &str, start: Mark) {
        self.blocks.push((pointer.into(), start));
    }

    /// Adds a place; [`Places::sort`] must follow before anything is looked up.
    pub(super) fn push(&mut self, pointer: &str, key: Mark, value: Mark) {
        match self.places.first_mut() {
            Some(root) if pointer.is_empty() => (root.key, root.value) = (key, value),
            _ => self.places.push(Place {
                pointer: pointer.into(),
                key,
                value,
            }),
        }
    }

    /// Whether the pointer itself has a place, not only a parent of it.
    #[cfg(test)]
    pub(super) fn has(&self, pointer: &str) -> bool {
        self.nearest(pointer)
            .0
            .is_some_and(|place| *place.pointer == *pointer)
    }

    /// Of a key that stands at `later`, where the same key stands for the first time. Only before
    /// the places are sorted.
    pub(super) fn first_of(&self, later: Mark) -> Option<Mark> {
        let twice = self.places.iter().find(|place| place.key == later)?;
        let first = (self.places.iter()).find(|place| place.pointer == twice.pointer)?;
        (first.key != later).then_some(first.key)
    }

    pub(super) fn sort(&mut self) {
        self.places.sort_by(|a, b| a.pointer.cmp(&b.pointer));
        self.places
            .dedup_by(|later, first| later.pointer == first.pointer);
    }

    /// The places below a pointer, with that pointer as the new root.
    pub(super) fn below(&self, root: &str) -> Self {
        let start = self.value(root);
        let mut below = Self::new(
            Arc::clone(&self.file),
            Mark {
                line: start.line,
                column: start.column,
            },
        );
        // Sorted, so what begins with the same text stands together: a list of thousands of objects
        // is not searched through for each of them.
        let prefix = format!("{root}/");
        let first = self
            .places
            .partition_point(|place| *place.pointer < *prefix);
        for place in self.places.iter().skip(first) {
            if !place.pointer.starts_with(&prefix) {
                break;
            }
            below.push(&place.pointer[root.len()..], place.key, place.value);
        }
        for (pointer, start) in &self.blocks {
            if pointer.starts_with(&prefix) {
                below.push_block(&pointer[root.len()..], *start);
            }
        }
        below.sort();
        below
    }

    /// Where the value at a pointer begins; of a pointer that is not there, its nearest parent.
    #[must_use]
    pub fn value(&self, pointer: &str) -> Origin {
        self.origin(self.nearest(pointer).1)
    }

    /// Where a fault of the value at a pointer stands: at the value; at its key if the value begins
    /// on a line below it, with a field that may have no part in it; and at the key of the nearest
    /// parent if it is not written at all.
    #[must_use]
    pub fn fault(&self, pointer: &str) -> Origin {
        match self.nearest(pointer).0 {
            Some(place)
                if *place.pointer == *pointer
                    && (place.key.line == place.value.line || !self.is_collection(pointer)) =>
            {
                self.origin(place.value)
            }
            Some(place) => self.origin(place.key),
            None => self.value(pointer),
        }
    }

    fn is_collection(&self, pointer: &str) -> bool {
        let prefix = format!("{pointer}/");
        let first = (self.places).partition_point(|place| *place.pointer < *prefix);
        (self.places.get(first)).is_some_and(|place| place.pointer.starts_with(&prefix))
    }

    /// Where a place within the text at a pointer stands. What is written in quotes or folded has
    /// no places of its own within it: then where the text begins.
    #[must_use]
    pub fn within(&self, pointer: &str, place: Mark) -> Origin {
        let block = self.blocks.iter().find(|(of, _)| **of == *pointer);
        let Some((_, start)) = block else {
            return self.value(pointer);
        };
        self.origin(Mark {
            line: start.line.saturating_add(place.line).saturating_sub(1),
            column: start.column.saturating_add(place.column).saturating_sub(1),
        })
    }

    /// Where the key of the field at a pointer stands; of a pointer that is not there, where its
    /// nearest parent's value begins.
    #[must_use]
    pub fn key(&self, pointer: &str) -> Origin {
        let (place, value) = self.nearest(pointer);
        match place {
            Some(place) if *place.pointer == *pointer => self.origin(place.key),
            _ => self.origin(value),
        }
    }

    fn nearest(&self, pointer: &str) -> (Option<&Place>, Mark) {
        let mut pointer = pointer;
        loop {
            if let Ok(index) = self
                .places
                .binary_search_by(|place| (*place.pointer).cmp(pointer))
                && let Some(place) = self.places.get(index)
            {
                return (Some(place), place.value);
            }
            match pointer.rfind('/') {
                Some(cut) => pointer = &pointer[..cut],
                None => return (None, Mark { line: 1, column: 1 }),
            }
        }
    }

    fn origin(&self, mark: Mark) -> Origin {
        Origin {
            file: Arc::clone(&self.file),
            line: mark.line,
            column: mark.column,
        }
    }
}

/// Appends one segment to a JSON pointer.
pub(super) fn join(pointer: &str, segment: &str) -> String {
    let mut joined = String::with_capacity(pointer.len() + segment.len() + 1);
    joined.push_str(pointer);
    joined.push('/');
    for character in segment.chars() {
        match character {
            '~' => joined.push_str("~0"),
            '/' => joined.push_str("~1"),
            other => joined.push(other),
        }
    }
    joined
}

/// A JSON pointer as people write field paths: `/spec/ports/0/portRef` is `spec.ports[0].portRef`.
#[must_use]
pub fn words(pointer: &str) -> String {
    let mut words = String::with_capacity(pointer.len());
    for segment in pointer.split('/').skip(1) {
        let segment = segment.replace("~1", "/").replace("~0", "~");
        if !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit()) {
            words.push('[');
            words.push_str(&segment);
            words.push(']');
        } else {
            if !words.is_empty() {
                words.push('.');
            }
            words.push_str(&segment);
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn places() -> Places {
        let mut places = Places::new("a.yaml".into(), Mark::new(1, 1));
        places.push("/items", Mark::new(2, 1), Mark::new(3, 1));
        places.push("/items/0", Mark::new(3, 3), Mark::new(3, 3));
        places.push("/items/0/kind", Mark::new(3, 3), Mark::new(3, 9));
        places.push("/items/01", Mark::new(9, 9), Mark::new(9, 9));
        places.sort();
        places
    }

    #[test]
    fn a_field_that_is_not_written_stands_where_its_nearest_parent_does() {
        assert_eq!(places().value("/items/0/kind").to_string(), "a.yaml:3:9");
        assert_eq!(places().key("/items/0/kind").to_string(), "a.yaml:3:3");
        assert_eq!(
            places().value("/items/0/spec/deep").to_string(),
            "a.yaml:3:3"
        );
        assert_eq!(places().key("/nothing").to_string(), "a.yaml:1:1");
    }

    #[test]
    fn places_below_an_item_hold_that_item_only() {
        let below = places().below("/items/0");
        assert_eq!(below.value("").to_string(), "a.yaml:3:3");
        assert_eq!(below.value("/kind").to_string(), "a.yaml:3:9");
        assert_eq!(below.value("1").to_string(), "a.yaml:1:1");
    }

    #[test]
    fn pointers_are_shown_as_people_write_them() {
        assert_eq!(words("/spec/ports/0/portRef"), "spec.ports[0].portRef");
        assert_eq!(
            words(&join("/metadata/annotations", "a.b/c~d")),
            "metadata.annotations.a.b/c~d"
        );
        assert_eq!(words(""), "");
    }
}
