//! What is said of a write beside its body.

use axum::extract::Query;
use axum::http::{HeaderMap, Uri, header};

use super::super::failure::Failure;

/// What becomes of fields that a kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Validation {
    /// They are left out.
    Ignore,
    /// They are left out, and the client is told.
    Warn,
    /// Nothing is written.
    Strict,
}

/// The parameters of a write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Params {
    /// Only what would become of it is asked.
    pub(super) dry_run: bool,
    /// In whose name fields are set.
    pub(super) manager: String,
    /// Whether a manager was named.
    pub(super) named: bool,
    /// Fields of others are taken over.
    pub(super) force: bool,
    /// What becomes of unknown fields.
    pub(super) validation: Validation,
}

const LONGEST_MANAGER: usize = 128;

impl Params {
    /// Reads them.
    ///
    /// # Errors
    /// What is not understood.
    pub(super) fn of(uri: &Uri, headers: &HeaderMap) -> Result<Self, Failure> {
        let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(uri)
            .map_err(|error| Failure::bad_request(error.to_string()))?;
        let mut params = Self {
            dry_run: false,
            manager: program(headers),
            named: false,
            force: false,
            validation: Validation::Warn,
        };
        for (name, value) in pairs {
            params.read(&name, value)?;
        }
        Ok(params)
    }

    fn read(&mut self, name: &str, value: String) -> Result<(), Failure> {
        let bad = |value: &str, expected: &str| {
            Err(Failure::bad_request(format!(
                "{name}: `{value}` is not {expected}"
            )))
        };
        match (name, value.as_str()) {
            ("dryRun" | "fieldManager" | "fieldValidation" | "force", "") => {}
            ("dryRun", "All") => self.dry_run = true,
            ("dryRun", other) => return bad(other, "All"),
            ("fieldManager", manager) => {
                if manager.len() > LONGEST_MANAGER || manager.contains(char::is_control) {
                    let expected = "a name of at most 128 printable characters";
                    return bad(manager, expected);
                }
                self.manager = value;
                self.named = true;
            }
            ("fieldValidation", "Ignore") => self.validation = Validation::Ignore,
            ("fieldValidation", "Warn") => self.validation = Validation::Warn,
            ("fieldValidation", "Strict") => self.validation = Validation::Strict,
            ("fieldValidation", other) => return bad(other, "Ignore, Warn or Strict"),
            ("force", "true" | "1") => self.force = true,
            ("force", "false" | "0") => self.force = false,
            ("force", other) => return bad(other, "true or false"),
            _ => {}
        }
        Ok(())
    }
}

/// The client's name for itself, as Kubernetes takes it where no manager is named.
fn program(headers: &HeaderMap) -> String {
    let agent = headers
        .get(header::USER_AGENT)
        .and_then(|it| it.to_str().ok());
    let name = agent
        .and_then(|it| it.split('/').next())
        .unwrap_or_default();
    match name {
        "" => "unknown".to_owned(),
        name => name.chars().take(LONGEST_MANAGER).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Result<Params, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(header::USER_AGENT, "kubectl/v1.32 (x)".parse().unwrap());
        Params::of(&format!("/x?{query}").parse().unwrap(), &headers)
    }

    #[test]
    fn parameters_are_read_and_what_is_wrong_is_said() {
        let all = params("dryRun=All&fieldManager=me&force=true&fieldValidation=Strict&pretty=1");
        let expected = Params {
            dry_run: true,
            manager: "me".to_owned(),
            named: true,
            force: true,
            validation: Validation::Strict,
        };
        assert_eq!(all, Ok(expected));
        let none = params("fieldValidation=&dryRun=").unwrap();
        assert_eq!(
            (none.manager.as_str(), none.named, none.dry_run),
            ("kubectl", false, false)
        );
        assert_eq!(none.validation, Validation::Warn);
        for bad in [
            "dryRun=Some",
            "force=perhaps",
            "fieldValidation=Loose",
            "fieldManager=a%00b",
        ] {
            assert!(params(bad).is_err(), "{bad}");
        }
    }
}
