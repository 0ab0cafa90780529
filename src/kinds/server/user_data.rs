//! What a server is told when it boots for the first time: text, a file, a Secret, or a template
//! with values from elsewhere.
//!
//! Nova does not give user data back to the project that sent it, so a digest of it is kept in the
//! server's metadata. The text itself is [`Material`]: never in a spec that was filled, nor printed.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use data_encoding::HEXLOWER;
use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::kinds::need::{Inputs, Material, Need, Reading, What};
use crate::kinds::{Complaint, Refusal};
use crate::manifest::template::{self, TemplateError};
use crate::manifest::{ValueSource, did_you_mean};

/// Name of the encoded text in [`Material`].
pub(super) const MATERIAL: &str = "userData";
/// What Nova takes, after base64.
const MAX_ENCODED: usize = 65_535;
const MAX_FILE: u64 = 64 * 1024;
/// ORC's name of the entry in a Secret.
const SECRET_KEY: &str = "value";

/// What a server is told when it boots for the first time: exactly one of `template`,
/// `templateFile`, `inline`, `file` and `secretRef`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UserData {
    /// A template; its variables are in `values`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template: Option<String>,
    /// A file with a template, beside the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub template_file: Option<String>,
    /// The text as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inline: Option<String>,
    /// A file with the text as it is, beside the manifest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// A Secret whose entry `value` is the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<String>,
    /// The template's variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<BTreeMap<String, ValueSource>>,
    /// What stands around variables in place of `{{` and `}}`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiters: Option<[String; 2]>,
    /// The digest of the text; all that is left once the spec is filled, and all that is known of
    /// a server that exists. Not for manifests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(skip)]
    pub sha256: Option<String>,
}

impl UserData {
    /// As it is known of a server that exists.
    pub(super) fn digest(sha256: &str) -> Self {
        Self {
            sha256: Some(sha256.to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn needs(&self, visit: &mut dyn FnMut(Need<'_>)) {
        let files = [("templateFile", &self.template_file), ("file", &self.file)];
        for (field, path) in files {
            if let Some(path) = path {
                visit(Need {
                    pointer: format!("/userData/{field}"),
                    what: What::File {
                        path,
                        reading: Reading::Text(MAX_FILE),
                    },
                });
            }
        }
        if let Some(name) = &self.secret_ref {
            visit(Need {
                pointer: "/userData/secretRef".to_owned(),
                what: What::SecretKey {
                    name,
                    key: SECRET_KEY,
                },
            });
        }
        for (name, source) in self.values.iter().flatten() {
            visit(Need {
                pointer: value_pointer(name),
                what: What::Value(source),
            });
        }
    }

    pub(super) fn check(&self, complaints: &mut Vec<Complaint>) {
        const SOURCES: &str = "template, templateFile, inline, file and secretRef";
        if self.sha256.is_some() {
            complaints.push(Complaint::new("/userData/sha256", "unknown field"));
        }
        let sources = [
            ("template", &self.template),
            ("templateFile", &self.template_file),
            ("inline", &self.inline),
            ("file", &self.file),
            ("secretRef", &self.secret_ref),
        ];
        let mut given = sources
            .iter()
            .filter(|(_, source)| source.is_some())
            .map(|(name, _)| name);
        if given.next().is_none() {
            complaints.push(Complaint::new(
                "/userData",
                format!("one of {SOURCES} must be given"),
            ));
        }
        for name in given {
            complaints.push(Complaint::new(
                format!("/userData/{name}"),
                format!("only one of {SOURCES} may be given"),
            ));
        }
        if self.template.is_none() && self.template_file.is_none() {
            for (field, is_set) in [
                ("values", self.values.is_some()),
                ("delimiters", self.delimiters.is_some()),
            ] {
                if is_set {
                    complaints.push(
                        Complaint::new(format!("/userData/{field}"), "only a template has these")
                            .hint("use `template` or `templateFile`"),
                    );
                }
            }
        }
        if let Some(text) = &self.inline
            && let Err(refusal) = encode(text)
        {
            complaints.push(Complaint::new("/userData/inline", refusal.message));
        }
        if let Some(template) = &self.template {
            self.check_template(template, complaints);
        }
    }

    fn check_template(&self, template: &str, complaints: &mut Vec<Complaint>) {
        let complaint = |message: String| Complaint::new("/userData/template", message);
        let variables = match template::variables(template, self.delimiters.as_ref()) {
            Ok(variables) => variables,
            Err(error) => {
                let [open, close] = self.braces();
                let hint = if error.message.contains("end of block") {
                    "a block of `if` ends with `endif`, one of `for` with `endfor`".to_owned()
                } else {
                    format!("a variable is `{open} name {close}`; other delimiters: `delimiters`")
                };
                let complaint = complaint(error.to_string()).hint(hint);
                return complaints.push(complaint.within(error.line, error.column));
            }
        };
        let declared: BTreeSet<&str> = self
            .values
            .iter()
            .flatten()
            .map(|(name, _)| name.as_str())
            .collect();
        for name in variables
            .iter()
            .filter(|name| !declared.contains(name.as_str()))
        {
            let Err(error) = self.without(template, &variables, name) else {
                continue;
            };
            let complaint = complaint(format!("the variable `{name}` is not in values"))
                .within(error.line, error.column);
            let near = did_you_mean(name, declared.iter().copied());
            complaints.push(complaint.hint(match near {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("values: {{{name}: {{value: ...}}}}"),
            }));
        }
        if variables.is_empty()
            && let Ok(text) = self.render(template, &BTreeMap::new())
            && let Err(refusal) = encode(&text)
        {
            complaints.push(complaint(refusal.message));
        }
    }

    /// What stands around a variable.
    fn braces(&self) -> [&str; 2] {
        match &self.delimiters {
            Some([open, close]) => [open, close],
            None => ["{{", "}}"],
        }
    }

    /// A variable with a default may be missing: found out by leaving it out.
    fn without(
        &self,
        template: &str,
        variables: &BTreeSet<String>,
        name: &str,
    ) -> Result<String, TemplateError> {
        let values: BTreeMap<String, String> = variables
            .iter()
            .filter(|other| *other != name)
            .map(|other| (other.clone(), "x".to_owned()))
            .collect();
        self.render(template, &values)
    }

    fn render(
        &self,
        template: &str,
        values: &BTreeMap<String, String>,
    ) -> Result<String, TemplateError> {
        template::render(template, self.delimiters.as_ref(), values, "userData")
    }

    /// The text becomes material, and only its digest stays.
    ///
    /// # Errors
    /// A template that cannot be rendered, text over the limit, an input that is not there.
    pub(super) fn fill(&mut self, inputs: &Inputs) -> Result<Material, Refusal> {
        if self.sha256.is_some() {
            return Ok(Material::default());
        }
        let text = self.text(inputs)?;
        let encoded = encode(text.expose_secret())?;
        let sha256 = Sha256::digest(text.expose_secret().as_bytes());
        *self = Self::digest(&HEXLOWER.encode(&sha256));
        Ok(Material([(MATERIAL, encoded)].into()))
    }

    fn text(&self, inputs: &Inputs) -> Result<SecretString, Refusal> {
        if let Some(text) = &self.inline {
            return Ok(SecretString::from(text.clone()));
        }
        if self.file.is_some() {
            return input(inputs, "/userData/file");
        }
        if self.secret_ref.is_some() {
            return input(inputs, "/userData/secretRef");
        }
        let template = match &self.template {
            Some(template) => SecretString::from(template.clone()),
            None => input(inputs, "/userData/templateFile")?,
        };
        let text = self.render(template.expose_secret(), &self.values(inputs)?);
        text.map(SecretString::from).map_err(|error| {
            let file = self.template_file.as_ref().map(|path| format!("{path}: "));
            Refusal::new(format!("user data: {}{error}", file.unwrap_or_default()))
        })
    }

    fn values(&self, inputs: &Inputs) -> Result<BTreeMap<String, String>, Refusal> {
        let value = |(name, source): (&String, &ValueSource)| {
            let text = match source {
                ValueSource::Value(text) => text.clone(),
                _ => input(inputs, &value_pointer(name))?
                    .expose_secret()
                    .to_owned(),
            };
            Ok((name.clone(), text))
        };
        self.values.iter().flatten().map(value).collect()
    }
}

fn input(inputs: &Inputs, pointer: &str) -> Result<SecretString, Refusal> {
    let missing = || Refusal::new(format!("user data: {} could not be read", &pointer[1..]));
    inputs.texts.get(pointer).cloned().ok_or_else(missing)
}

fn value_pointer(name: &str) -> String {
    format!(
        "/userData/values/{}",
        name.replace('~', "~0").replace('/', "~1")
    )
}

fn encode(text: &str) -> Result<SecretString, Refusal> {
    let encoded = STANDARD.encode(text);
    if encoded.len() <= MAX_ENCODED {
        return Ok(SecretString::from(encoded));
    }
    Err(Refusal::new(format!(
        "user data of {} bytes is {} bytes in base64, and Nova takes {MAX_ENCODED} ({} of text)",
        text.len(),
        encoded.len(),
        MAX_ENCODED / 4 * 3
    )))
}
