//! The schema of a kind as a tree of fields. What is said about them is in `explain`.

use std::collections::BTreeMap;

use serde_json::Value;

/// Where the trees begin.
pub(super) struct Fields;

/// One field, or the whole document.
#[derive(Debug, Clone)]
pub(super) struct Field<'a> {
    pub(super) name: String,
    pub(super) required: bool,
    schema: &'a Value,
    /// What `$ref` begins at.
    root: &'a Value,
    /// The schema of `status.resource`, which no manifest holds.
    status: Option<&'a Value>,
}

impl Fields {
    /// The document of a kind, in the schema of all.
    pub(super) fn of_kind<'a>(
        schema: &'a Value,
        kind: &str,
        status: Option<&'a Value>,
    ) -> Option<Field<'a>> {
        let documents = schema["oneOf"].as_array()?;
        let document = documents.iter().find(|it| it["title"] == kind)?;
        Some(Field {
            name: String::new(),
            required: true,
            schema: document,
            root: schema,
            status,
        })
    }
}

impl<'a> Field<'a> {
    /// The fields in it: of an object, of the elements of a list, of the values of a map.
    pub(super) fn fields(&self) -> Vec<Field<'a>> {
        if let Some(status) = self.status.filter(|_| self.name == "status") {
            // Conditions and the like are the same for all; the resource is what is referred to.
            return vec![Field {
                name: "resource".to_owned(),
                required: false,
                schema: status,
                root: status,
                status: None,
            }];
        }
        let mut found: BTreeMap<&str, Field<'a>> = BTreeMap::new();
        for schema in self.containers() {
            for (name, of) in schema["properties"].as_object().into_iter().flatten() {
                let required = schema["required"].as_array();
                let field = Field {
                    name: name.clone(),
                    required: required.is_some_and(|all| all.iter().any(|it| it == name)),
                    schema: of,
                    root: self.root,
                    status: self.status.filter(|_| self.name.is_empty()),
                };
                let _ = found.entry(name).or_insert(field);
            }
        }
        found.into_values().collect()
    }

    /// What it is, in the words of the kind.
    pub(super) fn description(&self) -> String {
        let words = self.described(self.schema, 0);
        words.unwrap_or_default().replace('\n', " ")
    }

    /// The words of a schema; where it has none, those of the type that it refers to.
    fn described(&self, schema: &'a Value, depth: usize) -> Option<&'a str> {
        if depth > 16 {
            return None;
        }
        if let Some(own) = schema["description"].as_str() {
            return Some(own);
        }
        let target = schema["$ref"].as_str();
        let target = target.and_then(|it| self.root.pointer(it.trim_start_matches('#')));
        let parts = ["anyOf", "oneOf", "allOf"];
        let parts = parts.iter().filter_map(|key| schema[*key].as_array());
        target
            .into_iter()
            .chain(parts.flatten())
            .find_map(|part| self.described(part, depth + 1))
    }

    /// The value that counts when it is left out.
    pub(super) fn default(&self) -> Option<String> {
        let value = self.schema.get("default").filter(|it| !it.is_null())?;
        Some(plain(value))
    }

    /// The values that there are, each with what it means.
    pub(super) fn choices(&self) -> Vec<(String, String)> {
        let mut choices = Vec::new();
        for shape in self.shapes() {
            if let Some(value) = shape.get("const") {
                let why = shape["description"].as_str().unwrap_or_default();
                choices.push((plain(value), why.replace('\n', " ")));
            }
        }
        choices
    }

    /// Its type: `string`, `[]object`, `map[string]string`, `Running | Stopped`.
    pub(super) fn type_name(&self) -> String {
        self.type_of(self.schema, 0)
    }

    fn type_of(&self, schema: &'a Value, depth: usize) -> String {
        let mut names: Vec<String> = Vec::new();
        let mut choices: Vec<String> = Vec::new();
        let mut shapes = Vec::new();
        self.flatten(schema, depth, &mut shapes);
        for shape in shapes {
            if let Some(value) = shape.get("const") {
                choices.push(plain(value));
                continue;
            }
            if let Some(values) = shape["enum"].as_array() {
                choices.extend(values.iter().filter(|it| !it.is_null()).map(plain));
                continue;
            }
            let name = match name_of(shape) {
                "array" => format!("[]{}", grouped(self.type_of(&shape["items"], depth + 1))),
                "object" if shape["additionalProperties"].is_object() => {
                    let values = self.type_of(&shape["additionalProperties"], depth + 1);
                    format!("map[string]{}", grouped(values))
                }
                other => other.to_owned(),
            };
            if !names.contains(&name) {
                names.push(name);
            }
        }
        if !choices.is_empty() {
            names.insert(0, choices.join(" | "));
        }
        names.join(" or ")
    }

    /// The shapes that its value may have, references followed and `null` left out.
    fn shapes(&self) -> Vec<&'a Value> {
        let mut shapes = Vec::new();
        self.flatten(self.schema, 0, &mut shapes);
        shapes
    }

    /// The shapes that have fields: those of elements and values too.
    fn containers(&self) -> Vec<&'a Value> {
        let mut open = self.shapes();
        let mut found = Vec::new();
        for _ in 0..4 {
            let mut inner = Vec::new();
            for shape in std::mem::take(&mut open) {
                found.push(shape);
                for key in ["items", "additionalProperties"] {
                    if shape[key].is_object() {
                        self.flatten(&shape[key], 0, &mut inner);
                    }
                }
            }
            open = inner;
        }
        found
    }

    fn flatten(&self, schema: &'a Value, depth: usize, shapes: &mut Vec<&'a Value>) {
        // A schema that refers to itself ends here.
        if depth > 16 {
            return;
        }
        if let Some(target) = schema["$ref"].as_str() {
            if let Some(target) = self.root.pointer(target.trim_start_matches('#')) {
                self.flatten(target, depth + 1, shapes);
            }
            return;
        }
        let mut is_union = false;
        for key in ["anyOf", "oneOf", "allOf"] {
            for choice in schema[key].as_array().into_iter().flatten() {
                is_union = true;
                self.flatten(choice, depth + 1, shapes);
            }
        }
        if (!is_union || schema["properties"].is_object()) && schema["type"] != "null" {
            shapes.push(schema);
        }
    }
}

fn name_of(shape: &Value) -> &str {
    match &shape["type"] {
        Value::String(name) => name,
        Value::Array(names) => {
            let mut names = names.iter().filter_map(Value::as_str);
            names.find(|name| *name != "null").unwrap_or("any")
        }
        _ => "any",
    }
}

fn grouped(name: String) -> String {
    if name.contains(' ') {
        format!("({name})")
    } else {
        name
    }
}

fn plain(value: &Value) -> String {
    let text = value.as_str().map(str::to_owned);
    text.unwrap_or_else(|| value.to_string())
}
