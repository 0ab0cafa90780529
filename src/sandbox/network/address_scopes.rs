//! Address scopes: a name, a version, and whether they are shared. They have no standard attributes.

use serde_json::json;

use super::super::json::{Object, boolean, text_or_empty};
use super::super::response::Refusal;
use super::super::world::{Account, World};
use super::kind::Kind;
use super::networks::apply;
use super::{bad_request, policy};

impl World {
    pub(super) fn create_address_scope(
        &mut self,
        account: &Account,
        mut record: Object,
        wanted: Object,
    ) -> Result<String, Refusal> {
        let version = wanted.get("ip_version").cloned().unwrap_or_default();
        if !matches!(version.as_u64(), Some(4 | 6)) {
            return Err(bad_request(format!(
                "Invalid input for ip_version. Reason: {version} is not in valid_values."
            )));
        }
        if wanted.get("shared").and_then(boolean) == Some(true) && !account.admin {
            return Err(policy(
                "(rule:create_address_scope and rule:create_address_scope:shared)",
            ));
        }
        record.retain(|name, _| matches!(name.as_str(), "id" | "tenant_id" | "project_id"));
        record.insert("name".into(), json!(""));
        record.insert("shared".into(), json!(false));
        apply(&mut record, wanted)?;
        Ok(self.keep(Kind::AddressScope, record))
    }

    pub(super) fn update_address_scope(
        &mut self,
        account: &Account,
        id: &str,
        wanted: Object,
    ) -> Result<(), Refusal> {
        let Some(record) = self.record(Kind::AddressScope, id) else {
            return Ok(());
        };
        let shared = wanted.get("shared").and_then(boolean);
        if shared.is_some() && !account.admin {
            return Err(policy(
                "(rule:update_address_scope and rule:update_address_scope:shared)",
            ));
        }
        if record["shared"] == true && shared == Some(false) {
            return Err(Refusal::of(
                400,
                "AddressScopeUpdateError",
                format!(
                    "Unable to update address scope {}: Shared address scope can't be unshared",
                    text_or_empty(record, "id")
                ),
            ));
        }
        let mut draft = record.clone();
        apply(&mut draft, wanted)?;
        self.keep(Kind::AddressScope, draft);
        Ok(())
    }
}
