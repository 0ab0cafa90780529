//! What was checked, what came of it, and how that is printed. What is checked is not known here.

use owo_colors::{OwoColorize as _, Style};
use serde::Serialize;
use serde_json::{Value, json};

use super::super::output::{self, Form};
use super::super::standing::clean;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    Ok,
    Warning,
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Check {
    /// The cloud that it is about.
    cloud: Option<String>,
    /// What was checked, in a word.
    name: String,
    verdict: Verdict,
    /// What was found.
    message: String,
    /// What to do, where something is to be done.
    remedy: Option<String>,
    /// The same for programs, and more of it.
    #[serde(skip_serializing_if = "Value::is_null")]
    facts: Value,
    /// What `wide` shows below the line.
    #[serde(skip)]
    details: Vec<String>,
}

/// All checks, in the order in which they were made.
#[derive(Debug, Default)]
pub(super) struct Checks {
    cloud: Option<String>,
    made: Vec<Check>,
}

impl Checks {
    /// What follows is about this cloud.
    pub(super) fn begin(&mut self, cloud: &str) {
        self.cloud = Some(cloud.to_owned());
    }

    pub(super) fn ok(&mut self, name: &str, message: impl Into<String>) -> &mut Check {
        self.add(name, Verdict::Ok, message.into(), None)
    }

    pub(super) fn warn(
        &mut self,
        name: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> &mut Check {
        self.add(name, Verdict::Warning, message.into(), Some(remedy.into()))
    }

    pub(super) fn fail(
        &mut self,
        name: &str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) -> &mut Check {
        self.add(name, Verdict::Failed, message.into(), Some(remedy.into()))
    }

    /// How many have failed.
    pub(super) fn failed(&self) -> usize {
        self.count(Verdict::Failed)
    }

    /// All of it in a form.
    pub(super) fn text(&self, form: Form) -> anyhow::Result<String> {
        match form {
            Form::Table | Form::Wide => Ok(self.lines(form == Form::Wide)),
            Form::Json | Form::Yaml => output::document(&self.document(), form),
            Form::Name => {
                let bad = self.made.iter().filter(|it| it.verdict != Verdict::Ok);
                let names: Vec<String> = bad.map(Check::full_name).collect();
                Ok(output::names(names.iter().map(String::as_str)))
            }
        }
    }

    fn add(
        &mut self,
        name: &str,
        verdict: Verdict,
        message: String,
        remedy: Option<String>,
    ) -> &mut Check {
        let index = self.made.len();
        self.made.push(Check {
            cloud: self.cloud.clone(),
            name: name.to_owned(),
            verdict,
            message,
            remedy: remedy.filter(|it| !it.is_empty()),
            facts: Value::Null,
            details: Vec::new(),
        });
        &mut self.made[index]
    }

    fn count(&self, verdict: Verdict) -> usize {
        self.made.iter().filter(|it| it.verdict == verdict).count()
    }

    fn lines(&self, wide: bool) -> String {
        let mut text = String::new();
        let mut cloud = None;
        for check in &self.made {
            if cloud != check.cloud {
                let name = check.cloud.as_deref().unwrap_or_default();
                let head = format!("cloud {}", clean(name));
                text.push_str(&format!("\n{}\n", head.style(Style::new().bold())));
                cloud.clone_from(&check.cloud);
            }
            text.push_str(&check.lines(wide));
        }
        let (warnings, failed) = (self.count(Verdict::Warning), self.failed());
        let ok = self.count(Verdict::Ok);
        text.push_str(&format!(
            "\n{ok} ok, {warnings} warning{}, {failed} failed.\n",
            if warnings == 1 { "" } else { "s" }
        ));
        text
    }

    fn document(&self) -> Value {
        json!({
            "formatVersion": 1,
            "ok": self.count(Verdict::Ok),
            "warnings": self.count(Verdict::Warning),
            "failed": self.failed(),
            "checks": self.made,
        })
    }
}

impl Check {
    /// Adds what programs read.
    pub(super) fn facts(&mut self, facts: Value) -> &mut Self {
        self.facts = facts;
        self
    }

    /// Adds lines that `wide` shows.
    pub(super) fn details(&mut self, details: impl IntoIterator<Item = String>) -> &mut Self {
        self.details.extend(details);
        self
    }

    fn full_name(&self) -> String {
        match &self.cloud {
            Some(cloud) => format!("{cloud}/{}", self.name),
            None => self.name.clone(),
        }
    }

    fn lines(&self, wide: bool) -> String {
        let (word, style) = match self.verdict {
            Verdict::Ok => ("ok", Style::new().green()),
            Verdict::Warning => ("warning", Style::new().yellow()),
            Verdict::Failed => ("failed", Style::new().red().bold()),
        };
        let word = format!("{word:<7}");
        let (name, message) = (&self.name, clean(&self.message));
        let mut text = format!("{}  {name:<20} {message}\n", word.style(style));
        if let Some(remedy) = &self.remedy {
            text.push_str(&format!("{:30} -> {}\n", "", clean(remedy)));
        }
        for detail in self.details.iter().filter(|_| wide) {
            text.push_str(&format!("{:30} {}\n", "", clean(detail)));
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_a_line_with_a_remedy_where_one_is_needed() {
        let mut checks = Checks::default();
        checks
            .ok("manifests", "3 objects")
            .details(["in a.yaml".to_owned()]);
        checks.begin("lab");
        checks.fail("token", "refused\u{1b}[2J", "check the password");
        let plain = |form| {
            let text = checks.text(form).unwrap();
            anstream::adapter::strip_str(&text).to_string()
        };
        assert_eq!(
            plain(Form::Table),
            "ok       manifests            3 objects\n\n\
             cloud lab\n\
             failed   token                refused [2J\n\
             \x20                              -> check the password\n\n\
             1 ok, 0 warnings, 1 failed.\n"
        );
        assert!(plain(Form::Wide).contains("in a.yaml"));
        assert_eq!(plain(Form::Name), "lab/token\n");
        let document: Value = serde_json::from_str(&plain(Form::Json)).unwrap();
        assert_eq!(document["checks"][1]["verdict"], "failed");
        assert_eq!(document["failed"], 1);
    }
}
