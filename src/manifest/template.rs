//! Templates of user data: variables, filters, `if` and `for` of the Jinja language, nothing that
//! reads anything else.

use std::collections::{BTreeMap, BTreeSet};

use minijinja::syntax::SyntaxConfig;
use minijinja::{AutoEscape, Environment, Error, UndefinedBehavior};

/// Steps that a template may take: ample for 64 KiB of user data, and over in milliseconds.
const FUEL: u64 = 1_000_000;
/// User data is far smaller; a loop could make more in few steps.
const MAX_OUTPUT: usize = 1024 * 1024;

/// Why a template cannot be rendered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line} of the template: {message}")]
pub struct TemplateError {
    /// Line within the template, from 1.
    pub line: u32,
    /// Column in that line, from 1.
    pub column: u32,
    /// What is wrong, without any value.
    pub message: String,
}

/// Renders a template.
///
/// `delimiters` are those of variables in place of `{{` and `}}`. Statements are then `<d>%` and
/// `%<d>`: with `["[[", "]]"]` one writes `[[% if x %]]`, and no `{%` of the text means anything.
/// There are no comments: `{#` is common in shell scripts.
///
/// # Errors
/// Bad syntax, a variable that `values` does not have, or more steps or output than allowed.
pub fn render(
    template: &str,
    delimiters: Option<&[String; 2]>,
    values: &BTreeMap<String, String>,
    name: &str,
) -> Result<String, TemplateError> {
    let environment = environment(delimiters)?;
    let compiled = environment
        .template_from_named_str(name, template)
        .map_err(|error| of(error, template))?;
    let mut output = Bounded(Vec::new());
    compiled
        .render_captured_to(values, &mut output)
        .map_err(|error| {
            let missing = missing(&error, template, values);
            let kind = error.kind();
            let mut described = of(error, template);
            let tells = |value: &String| !value.is_empty() && described.message.contains(value);
            if let Some(missing) = missing {
                described.message = format!("undefined variable `{missing}`");
            } else if values.values().any(tells) {
                described.message = kind.to_string();
            }
            described
        })?;
    String::from_utf8(output.0).map_err(|_| TemplateError {
        line: 1,
        column: 1,
        message: "the result is not UTF-8".to_owned(),
    })
}

/// The variables that a template takes from outside.
///
/// # Errors
/// Bad syntax.
pub fn variables(
    template: &str,
    delimiters: Option<&[String; 2]>,
) -> Result<BTreeSet<String>, TemplateError> {
    let environment = environment(delimiters)?;
    let compiled = environment
        .template_from_str(template)
        .map_err(|error| of(error, template))?;
    let globals: BTreeSet<&str> = environment.globals().map(|(name, _)| name).collect();
    let variables = compiled.undeclared_variables(false);
    Ok(variables
        .into_iter()
        .filter(|name| !globals.contains(name.as_str()))
        .collect())
}

fn environment(delimiters: Option<&[String; 2]>) -> Result<Environment<'static>, TemplateError> {
    let mut environment = Environment::new();
    let mut syntax = SyntaxConfig::builder();
    // A comment marker that no text file has.
    syntax
        .comment_delimiters("\u{1}#", "#\u{1}")
        .keep_trailing_newline(true);
    if let Some([start, end]) = delimiters {
        if start.trim().is_empty() || end.trim().is_empty() || start == end {
            let message = "delimiters must be two different texts".to_owned();
            return Err(TemplateError {
                line: 1,
                column: 1,
                message,
            });
        }
        syntax
            .variable_delimiters(start.clone(), end.clone())
            .block_delimiters(format!("{start}%"), format!("%{end}"));
    }
    // It would print every value.
    environment.remove_global("debug");
    environment.set_syntax(syntax.build().map_err(|error| of(error, ""))?);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.set_auto_escape_callback(|_| AutoEscape::None);
    environment.set_fuel(Some(FUEL));
    environment.set_recursion_limit(50);
    Ok(environment)
}

fn of(error: Error, template: &str) -> TemplateError {
    let start = error.range().map_or(0, |range| range.start);
    let before = template.get(..start).unwrap_or_default();
    let column = before
        .rsplit('\n')
        .next()
        .unwrap_or_default()
        .chars()
        .count()
        + 1;
    let line = error
        .line()
        .and_then(|line| u32::try_from(line).ok())
        .unwrap_or(1);
    let message = match error.kind() {
        minijinja::ErrorKind::OutOfFuel => "takes too many steps".to_owned(),
        minijinja::ErrorKind::WriteFailure => format!("makes more than {MAX_OUTPUT} bytes"),
        minijinja::ErrorKind::UndefinedError => "undefined variable".to_owned(),
        kind => match error.detail() {
            Some(detail) => format!("{kind}: {detail}"),
            None => kind.to_string(),
        },
    };
    TemplateError {
        line,
        column: u32::try_from(column).unwrap_or(1),
        message,
    }
}

/// The variable that an error is about, if its place in the template is that of one.
fn missing<'t>(
    error: &Error,
    template: &'t str,
    values: &BTreeMap<String, String>,
) -> Option<&'t str> {
    if error.kind() != minijinja::ErrorKind::UndefinedError {
        return None;
    }
    let name = template
        .get(error.range()?)?
        .split(['|', '.', '['])
        .next()?
        .trim();
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_name && !values.contains_key(name)).then_some(name)
}

struct Bounded(Vec<u8>);

impl std::io::Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.0.len() + bytes.len() > MAX_OUTPUT {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(template: &str, delimiters: Option<[&str; 2]>) -> Result<String, String> {
        let values = [("host", "10.0.0.5"), ("pass", "<&\"'>")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()));
        let delimiters = delimiters.map(|pair| pair.map(str::to_owned));
        render(template, delimiters.as_ref(), &values.into(), "user-data")
            .map_err(|error| error.to_string())
    }

    #[test]
    fn variables_are_replaced_and_nothing_else_is_touched() {
        for (template, text) in [
            ("#cloud-config\n{{ host }}\n", "#cloud-config\n10.0.0.5\n"),
            ("{{ pass }}", "<&\"'>"),
            ("echo ${#list[@]} {# x #}", "echo ${#list[@]} {# x #}"),
            ("{% if host == '10.0.0.5' %}a{% else %}b{% endif %}", "a"),
            ("{% for n in range(3) %}{{ n }}{% endfor %}", "012"),
            ("{{ host | upper | replace('.', '-') }}", "10-0-0-5"),
            ("{{ nowhere | default('x') }}", "x"),
        ] {
            assert_eq!(rendered(template, None), Ok(text.to_owned()), "{template}");
        }
    }

    #[test]
    fn other_delimiters_leave_braces_alone() {
        assert_eq!(
            rendered(
                "{{ ds }} {% x %} <% host %> <%% if host %%>y<%% endif %%>",
                Some(["<%", "%>"])
            ),
            Ok("{{ ds }} {% x %} 10.0.0.5 y".to_owned())
        );
        assert_eq!(
            rendered("[[ host ]]", Some(["[[", "]]"])),
            Ok("10.0.0.5".to_owned())
        );
        assert!(rendered("x", Some(["", "]]"])).is_err());
    }

    #[test]
    fn what_cannot_be_rendered_says_where_and_why_but_no_value() {
        for (template, message) in [
            (
                "a\n{{ nowhere }}",
                "line 2 of the template: undefined variable `nowhere`",
            ),
            ("a\n\n{% if %}", "line 3 of the template"),
            ("{% include '/etc/passwd' %}", "line 1 of the template"),
            (
                "{{ pass.x.y }}",
                "line 1 of the template: undefined variable",
            ),
            (
                "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
                "line 1 of the template: takes too many steps",
            ),
            (
                "{% for a in range(9999) %}{{ 'x' * 9999 }}{% endfor %}",
                "line 1 of the template",
            ),
        ] {
            let error = rendered(template, None).unwrap_err();
            assert!(error.starts_with(message), "{error}");
            assert!(!error.contains("<&"), "{error}");
        }
    }

    #[test]
    fn variables_from_outside_are_known_beforehand() {
        let template = "{{ a }}{% for x in range(2) %}{{ x }}{{ b|default(c) }}{% endfor %}";
        let names: Vec<String> = variables(template, None).unwrap().into_iter().collect();
        assert_eq!(names, ["a", "b", "c"]);
        assert!(variables("{{", None).is_err());
    }
}
