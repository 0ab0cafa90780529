//! The only diagnostic that a person sees about manifests. How it looks beside its source line is in
//! `render`.

use std::fmt;

use serde::Serialize;

use super::render::harmless;
use super::{Key, Origin};

/// What is wrong, as a stable word. Documentation, metrics and tests go by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// A file or a directory could not be read.
    Unreadable,
    /// A file is not UTF-8.
    NotUtf8,
    /// More or larger than the limits allow.
    TooLarge,
    /// A path leads out of the directories that are allowed.
    OutsideRoot,
    /// A FIFO, device, socket or directory where a regular file belongs.
    NotAFile,
    /// A file that a manifest names is not there.
    MissingFile,
    /// Not YAML.
    BadYaml,
    /// Not JSON.
    BadJson,
    /// The same key twice in one mapping.
    DuplicateKey,
    /// A document that is no mapping.
    NotAnObject,
    /// An `apiVersion` that is not served.
    UnknownApiVersion,
    /// A `kind` that the API group does not have.
    UnknownKind,
    /// A field that the kind does not have.
    UnknownField,
    /// A field of the native API group in a manifest of ORC's.
    NativeField,
    /// A field that must be there is not.
    MissingField,
    /// A value of another type.
    WrongType,
    /// A value of the right type that is not allowed.
    InvalidValue,
    /// A name that Kubernetes would refuse.
    InvalidName,
    /// A duration that is none.
    InvalidDuration,
    /// Data that is not base64.
    InvalidBase64,
    /// Fields that exclude or require each other.
    Conflict,
    /// A field that has no effect.
    Ignored,
    /// Two objects of one identity.
    DuplicateObject,
    /// A reference to an object that no manifest declares.
    MissingReference,
    /// Nothing is declared at all.
    Empty,
    /// Objects that wait for each other.
    Cycle,
    /// A template that cannot be rendered.
    BadTemplate,
    /// User data over OpenStack's limit.
    UserDataTooLarge,
}

impl Code {
    /// The word itself.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::NotUtf8 => "not-utf8",
            Self::TooLarge => "too-large",
            Self::OutsideRoot => "outside-root",
            Self::NotAFile => "not-a-file",
            Self::MissingFile => "missing-file",
            Self::BadYaml => "bad-yaml",
            Self::BadJson => "bad-json",
            Self::DuplicateKey => "duplicate-key",
            Self::NotAnObject => "not-an-object",
            Self::UnknownApiVersion => "unknown-api-version",
            Self::UnknownKind => "unknown-kind",
            Self::UnknownField => "unknown-field",
            Self::NativeField => "native-field",
            Self::MissingField => "missing-field",
            Self::WrongType => "wrong-type",
            Self::InvalidValue => "invalid-value",
            Self::InvalidName => "invalid-name",
            Self::InvalidDuration => "invalid-duration",
            Self::InvalidBase64 => "invalid-base64",
            Self::Conflict => "conflict",
            Self::Ignored => "ignored",
            Self::DuplicateObject => "duplicate-object",
            Self::MissingReference => "missing-reference",
            Self::Empty => "empty",
            Self::Cycle => "cycle",
            Self::BadTemplate => "bad-template",
            Self::UserDataTooLarge => "user-data-too-large",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Works, but probably not as meant.
    Warning,
    /// The object cannot be used as written.
    Error,
}

/// Which objects may be declared in the part that could not be read. None of them may be deleted
/// for not being declared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Hides {
    /// No object: every one that is declared there was read.
    Nothing,
    /// The problem's own object: its identity is known, what it says is not.
    Object,
    /// Any object.
    Unknown,
}

/// One thing that is wrong with the manifests.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Problem {
    /// How bad.
    pub severity: Severity,
    /// What, as a stable word.
    pub code: Code,
    /// What, in a sentence: lower case, no full stop, names the field.
    pub message: Box<str>,
    /// Where.
    pub origin: Option<Origin>,
    /// Whose.
    pub object: Option<Key>,
    /// What a person can do.
    pub hint: Option<String>,
    /// What may be behind it.
    pub hides: Hides,
    /// The source line may hold a secret and is never shown.
    #[serde(skip)]
    pub confidential: bool,
}

impl Problem {
    /// An error that may hide any object, until [`Problem::about`] or [`Problem::hiding`] says less.
    #[must_use]
    pub fn error(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            code,
            message: message.into().into_boxed_str(),
            origin: None,
            object: None,
            hint: None,
            hides: Hides::Unknown,
            confidential: false,
        }
    }

    /// A warning: nothing is hidden by it.
    #[must_use]
    pub fn warning(code: Code, message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            hides: Hides::Nothing,
            ..Self::error(code, message)
        }
    }

    /// The same problem with its place.
    #[must_use]
    pub fn at(mut self, origin: Origin) -> Self {
        self.origin = Some(origin);
        self
    }

    /// The same problem with its object. An error then hides that object only.
    #[must_use]
    pub fn about(mut self, object: Key) -> Self {
        if self.severity == Severity::Error {
            self.hides = Hides::Object;
        }
        self.object = Some(object);
        self
    }

    /// The same problem with what may be behind it.
    #[must_use]
    pub fn hiding(mut self, hides: Hides) -> Self {
        self.hides = hides;
        self
    }

    /// The same problem with a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Whether an object may be declared in what could not be read, so that it must not be deleted
    /// for not being declared.
    #[must_use]
    pub fn may_hide(&self, key: &Key) -> bool {
        match self.hides {
            Hides::Nothing => false,
            Hides::Object => self.object.as_ref().is_none_or(|object| object == key),
            Hides::Unknown => true,
        }
    }

    /// Whether it is an error.
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }

    pub(super) fn headline(&self) -> String {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let message = harmless(&self.message);
        match &self.object {
            Some(object) => format!("{severity}[{}]: {message} ({})", self.code, object.short()),
            None => format!("{severity}[{}]: {message}", self.code),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(origin) = &self.origin {
            write!(f, "{origin}: ")?;
        }
        f.write_str(&self.headline())?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {}", harmless(hint)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
    fn a_problem_is_one_line_and_a_hint() {
        assert_eq!(
            problem(2, 3).to_string(),
            "a.yaml:2:3: error[unknown-field]: spec.x: unknown field (Server/db)\n  \
             hint: did you mean `y`?"
        );
    }

    #[test]
    fn an_error_hides_its_object_a_warning_none_and_one_without_an_object_any() {
        let (db, web) = (
            Key::new("Server", "default", "db"),
            Key::new("Server", "default", "web"),
        );
        let error = Problem::error(Code::BadYaml, "x");
        let warning = Problem::warning(Code::Ignored, "x").about(db.clone());
        assert!(error.may_hide(&db) && error.may_hide(&web));
        assert!(problem(1, 1).may_hide(&db) && !problem(1, 1).may_hide(&web));
        assert!(!warning.may_hide(&db));
    }

    #[test]
    fn the_word_and_the_serialized_form_of_a_code_are_the_same() {
        for code in [
            Code::NotUtf8,
            Code::NotAFile,
            Code::UserDataTooLarge,
            Code::InvalidBase64,
        ] {
            let json = serde_json::to_value(code).unwrap();
            assert_eq!(json, code.as_str());
        }
    }
}
