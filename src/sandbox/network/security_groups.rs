//! Security groups, and the `default` one that every project gets on first use.

use serde_json::json;

use super::super::json::{Object, boolean, stamp, text, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::bad_request;
use super::kind::Kind;
use super::networks::apply;

impl World {
    /// The id of a project's `default` group, which is made if need be.
    pub(super) fn default_group(&mut self, project: &str) -> String {
        let found = self
            .table(Kind::SecurityGroup)
            .find(|g| text(g, "project_id") == Some(project) && text(g, "name") == Some("default"));
        if let Some(found) = found {
            return text_or_empty(found, "id").to_owned();
        }
        let mut record = Object::new();
        let defaults = json!({"id": self.new_uuid(), "name": "default", "tenant_id": project, "project_id": project,
            "description": "Default security group", "stateful": true, "shared": false, "tags": [],
            "created_at": stamp(self.now), "updated_at": stamp(self.now), "revision_number": 1});
        record.extend(defaults.as_object().cloned().unwrap_or_default());
        let id = self.keep(Kind::SecurityGroup, record);
        for (direction, ethertype) in [
            ("egress", "IPv4"),
            ("egress", "IPv6"),
            ("ingress", "IPv4"),
            ("ingress", "IPv6"),
        ] {
            let peer = (direction == "ingress").then_some(id.as_str());
            self.default_rule(project, &id, direction, ethertype, peer);
        }
        id
    }

    pub(super) fn create_security_group(
        &mut self,
        mut record: Object,
        wanted: &Object,
    ) -> Result<String, Refusal> {
        let name = text_or_empty(wanted, "name").to_owned();
        if name.eq_ignore_ascii_case("default") {
            return Err(Refusal::of(
                409,
                "SecurityGroupDefaultAlreadyExists",
                "Default security group already exists.",
            ));
        }
        if name.chars().count() > 255 {
            return Err(bad_request(format!(
                "Invalid input for name. Reason: '{name}' exceeds maximum length of 255."
            )));
        }
        let project = text_or_empty(&record, "project_id").to_owned();
        self.default_group(&project);
        record.insert("name".into(), json!(name));
        record.insert(
            "description".into(),
            json!(text_or_empty(wanted, "description")),
        );
        record.insert(
            "stateful".into(),
            json!(wanted.get("stateful").and_then(boolean).unwrap_or(true)),
        );
        record.insert("shared".into(), json!(false));
        record.insert("revision_number".into(), json!(1));
        let id = self.keep(Kind::SecurityGroup, record);
        self.default_rule(&project, &id, "egress", "IPv4", None);
        self.default_rule(&project, &id, "egress", "IPv6", None);
        Ok(id)
    }

    pub(super) fn update_security_group(
        &mut self,
        id: &str,
        wanted: Object,
    ) -> Result<(), Refusal> {
        let in_use = self.is_group_on_a_port(id);
        let Some(record) = self.record_mut(Kind::SecurityGroup, id) else {
            return Ok(());
        };
        if text(record, "name") == Some("default")
            && wanted.get("name").is_some_and(|n| n != "default")
        {
            return Err(Refusal::of(
                409,
                "SecurityGroupCannotUpdateDefault",
                "Updating default security group not allowed.",
            ));
        }
        let stateful = wanted.get("stateful").and_then(boolean);
        if in_use && stateful.is_some_and(|s| record["stateful"] != s) {
            return Err(Refusal::of(
                409,
                "SecurityGroupInUse",
                format!("Security Group {id} in use."),
            ));
        }
        let mut draft = record.clone();
        apply(&mut draft, wanted)?;
        *record = draft;
        Ok(())
    }

    pub(super) fn delete_security_group(
        &mut self,
        account: &Account,
        id: &str,
    ) -> Result<(), Refusal> {
        let is_default = self
            .record(Kind::SecurityGroup, id)
            .is_some_and(|g| text(g, "name") == Some("default"));
        if is_default && !account.admin {
            return Err(Refusal::of(
                409,
                "SecurityGroupCannotRemoveDefault",
                "Insufficient rights for removing default security group.",
            ));
        }
        if self.is_group_on_a_port(id) {
            return Err(Refusal::of(
                409,
                "SecurityGroupInUse",
                format!("Security Group {id} in use."),
            ));
        }
        // Its rules go with it, and so do rules of others that name it as their peer.
        let rules: Vec<String> = self
            .table(Kind::SecurityGroupRule)
            .filter(|r| {
                text(r, "security_group_id") == Some(id) || text(r, "remote_group_id") == Some(id)
            })
            .map(|r| text_or_empty(r, "id").to_owned())
            .collect();
        for rule in rules {
            self.forget(Kind::SecurityGroupRule, &rule);
        }
        Ok(())
    }

    // For Nova.

    /// Ids of the groups of a project with this name or id.
    pub(in super::super) fn groups_called(&self, account: &Account, name: &str) -> Vec<String> {
        self.table(Kind::SecurityGroup)
            .filter(|g| text(g, "project_id") == Some(account.project_id.as_str()))
            .filter(|g| text(g, "name") == Some(name) || text(g, "id") == Some(name))
            .map(|g| text_or_empty(g, "id").to_owned())
            .collect()
    }

    pub(in super::super) fn default_group_of(&mut self, project: &str) -> String {
        self.default_group(project)
    }

    pub(in super::super) fn group_name(&self, id: &str) -> Option<&str> {
        self.group(id).and_then(|g| text(g, "name"))
    }

    /// The group with this id, without its rules.
    pub(in super::super) fn group(&self, id: &str) -> Option<&Object> {
        self.record(Kind::SecurityGroup, id)
    }

    fn is_group_on_a_port(&self, id: &str) -> bool {
        self.table(Kind::Port).any(|p| {
            p["security_groups"]
                .as_array()
                .is_some_and(|groups| groups.iter().any(|g| g == id))
        })
    }
}
