//! Address groups: blocks of addresses that the rules of security groups name together.

use serde_json::json;

use super::super::json::{Object, text};
use super::super::response::Refusal;
use super::super::world::World;
use super::kind::Kind;
use super::networks::apply;

impl World {
    pub(super) fn create_address_group(
        &mut self,
        mut record: Object,
        wanted: Object,
    ) -> Result<String, Refusal> {
        record.remove("tags");
        record.insert("name".into(), json!(""));
        record.insert("addresses".into(), json!([]));
        apply(&mut record, wanted)?;
        Ok(self.keep(Kind::AddressGroup, record))
    }

    pub(super) fn update_address_group(&mut self, id: &str, wanted: Object) -> Result<(), Refusal> {
        let Some(record) = self.record(Kind::AddressGroup, id) else {
            return Ok(());
        };
        let mut draft = record.clone();
        apply(&mut draft, wanted)?;
        self.keep(Kind::AddressGroup, draft);
        Ok(())
    }

    /// One that rules name is not deleted.
    pub(super) fn check_address_group(&self, id: &str) -> Result<(), Refusal> {
        let mut rules = self.table(Kind::SecurityGroupRule);
        if rules.any(|rule| text(rule, "remote_address_group_id") == Some(id)) {
            return Err(Refusal::of(
                409,
                "AddressGroupInUse",
                format!("Address group {id} is in use on one or more security group rules."),
            ));
        }
        Ok(())
    }
}
