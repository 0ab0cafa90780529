//! Quotas and limits of Nova.

use http::Method;
use serde_json::{Value, json};

use super::super::json::Object;
use super::super::quota::Counted;
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
        let asked = [
            ("cores", cores * many),
            ("instances", instances),
            ("ram", ram * many),
        ];
        let over: Vec<[String; 4]> = asked
            .into_iter()
            .filter_map(|(name, asked)| {
                let limit = self.limit(Counted::Compute, project, name);
                let used = self.compute_usage(project, name);
                let numbers = [asked, used, limit].map(|it| it.to_string());
                let [asked_text, used_text, limit_text] = numbers;
                (asked > 0 && limit >= 0 && used + asked > limit)
                    .then(|| [name.to_owned(), asked_text, used_text, limit_text])
            })
            .collect();
        if over.is_empty() {
            return Ok(());
        }
        let all = |n: usize| {
            let column: Vec<&str> = over.iter().map(|row| row[n].as_str()).collect();
            column.join(", ")
        };
        let (names, asked, used, limit) = (all(0), all(1), all(2), all(3));
        Err(Refusal::new(
            403,
            format!(
                "Quota exceeded for {names}: Requested {asked}, but already used {used} of {limit} {names}"
            ),
        ))
    }

    pub(super) fn compute_limits(&self, who: Caller<'_>) -> Value {
        let project = &who.account.project_id;
        let limit = |name: &str| self.limit(Counted::Compute, project, name);
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
            self.set_limits(Counted::Compute, project, body.get("quota_set"));
        }
        if request.method == Method::DELETE {
            only_admin(who, "os_compute_api:os-quota-sets:delete")?;
            self.reset_limits(Counted::Compute, project);
            return Ok(Response::empty(202));
        }
        let mut set = Object::from_iter([("id".to_owned(), json!(project))]);
        for (name, limit) in self.limits(Counted::Compute, project) {
            let shown = if path == ["detail"] {
                json!({"limit": limit, "in_use": self.compute_usage(project, &name), "reserved": 0})
            } else {
                json!(limit)
            };
            set.insert(name, shown);
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
