//! Quotas and limits of Nova.

use http::Method;
use serde_json::{Value, json};

use super::super::json::Object;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{Caller, only_admin};

impl World {
    /// Refused with 403 when the project has no room for what is asked.
    pub(super) fn check_compute_quota(
        &self,
        project: &str,
        instances: i64,
        cores: i64,
        ram: i64,
    ) -> Result<(), Refusal> {
        let many = instances.max(1);
        for (name, asked) in [
            ("instances", instances),
            ("cores", cores * many),
            ("ram", ram * many),
        ] {
            let (limit, used) = (self.compute_quota(name), self.compute_usage(project, name));
            if asked > 0 && limit >= 0 && used + asked > limit {
                return Err(Refusal::new(
                    403,
                    format!(
                        "Quota exceeded for {name}: Requested {asked}, but already used {used} of {limit} {name}"
                    ),
                ));
            }
        }
        Ok(())
    }

    pub(super) fn compute_quota(&self, name: &str) -> i64 {
        self.options.quotas.compute.get(name).copied().unwrap_or(-1)
    }

    pub(super) fn compute_limits(&self, who: Caller<'_>) -> Value {
        let project = &who.account.project_id;
        let limit = |name: &str| self.compute_quota(name);
        let used = |name: &str| self.compute_usage(project, name);
        let mut absolute = json!({
            "maxTotalCores": limit("cores"), "maxTotalInstances": limit("instances"),
            "maxTotalKeypairs": limit("key_pairs"), "maxServerMeta": limit("metadata_items"),
            "maxTotalRAMSize": limit("ram"), "maxServerGroups": limit("server_groups"),
            "maxServerGroupMembers": limit("server_group_members"), "totalRAMUsed": used("ram"),
            "totalCoresUsed": used("cores"), "totalInstancesUsed": used("instances"),
            "totalServerGroupsUsed": used("server_groups")});
        if who.minor < 36 {
            for name in [
                "maxTotalFloatingIps",
                "maxSecurityGroups",
                "maxSecurityGroupRules",
            ] {
                absolute[name] = json!(-1);
            }
            for name in ["totalFloatingIpsUsed", "totalSecurityGroupsUsed"] {
                absolute[name] = json!(0);
            }
        }
        if who.minor < 39 {
            absolute["maxImageMeta"] = json!(limit("metadata_items"));
        }
        if who.minor < 57 {
            absolute["maxPersonality"] = json!(5);
            absolute["maxPersonalitySize"] = json!(10240);
        }
        json!({"limits": {"rate": [], "absolute": absolute}})
    }

    pub(super) fn compute_quota_sets(
        &mut self,
        request: &Request,
        who: Caller<'_>,
        project: &str,
        path: &[&str],
    ) -> Answer {
        if project != who.account.project_id {
            only_admin(who, "os_compute_api:os-quota-sets:show")?;
        }
        if request.method == Method::PUT {
            only_admin(who, "os_compute_api:os-quota-sets:update")?;
            let body = request.body_json().unwrap_or_default();
            let wanted = body
                .get("quota_set")
                .and_then(Value::as_object)
                .cloned()
                .unwrap_or_default();
            self.set_options(|options| {
                let limits = wanted
                    .iter()
                    .filter_map(|(k, v)| Some((k.clone(), v.as_i64()?)));
                options.quotas.compute.extend(limits);
            });
        }
        let mut set = Object::from_iter([("id".to_owned(), json!(project))]);
        for (name, limit) in &self.options.quotas.compute {
            let shown = if path == ["detail"] {
                json!({"limit": limit, "in_use": self.compute_usage(project, name), "reserved": 0})
            } else {
                json!(limit)
            };
            set.insert(name.clone(), shown);
        }
        if request.method == Method::PUT {
            set.remove("id");
        }
        Ok(Response::json(200, json!({ "quota_set": set })))
    }

    fn compute_usage(&self, project: &str, name: &str) -> i64 {
        let servers = self
            .compute
            .servers
            .values()
            .filter(|s| s.deleted.is_none() && s.project_id == project);
        match name {
            "instances" => servers.count() as i64,
            "cores" => servers.map(|s| s.flavor.vcpus).sum(),
            "ram" => servers.map(|s| s.flavor.ram).sum(),
            "server_groups" => self
                .compute
                .groups
                .values()
                .filter(|g| g.is_of(project))
                .count() as i64,
            _ => 0,
        }
    }
}
