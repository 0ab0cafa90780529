//! Quotas of Neutron.

use http::Method;
use serde_json::json;

use super::super::json::{Object, text};
use super::super::quota::Counted;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::kind::Kind;
use super::{no_route, policy};

impl World {
    pub(super) fn check_network_quota(&self, kind: Kind, project: &str) -> Result<(), Refusal> {
        // A group is born with two rules, which are counted.
        let rules = if kind == Kind::SecurityGroup { 2 } else { 0 };
        for (name, asked) in [(kind.member(), 1), ("security_group_rule", rules)] {
            if asked > 0
                && self
                    .network_room(project, name)
                    .is_some_and(|room| room < asked)
            {
                return Err(Refusal::of(
                    409,
                    "OverQuota",
                    format!("Quota exceeded for resources: ['{name}']."),
                ));
            }
        }
        Ok(())
    }

    /// How many more there may be, if there is a limit.
    pub(in super::super) fn network_room(&self, project: &str, name: &str) -> Option<i64> {
        let limit = self.limit(Counted::Network, project, name);
        (limit >= 0).then(|| limit - self.network_usage(project, name))
    }

    pub(super) fn network_quotas(
        &mut self,
        request: &Request,
        account: &Account,
        path: &[&str],
    ) -> Answer {
        let (project, form) = match path {
            [] => return Ok(Response::json(200, json!({"quotas": []}))),
            ["tenant" | "project"] => {
                let id = &account.project_id;
                return Ok(Response::json(
                    200,
                    json!({"tenant": {"tenant_id": id, "project_id": id}}),
                ));
            }
            [project] => (project, "limits"),
            [project, "default"] => (project, "limits"),
            [project, "details" | "details.json"] => (project, "details"),
            _ => return Err(no_route()),
        };
        if *project != account.project_id && !account.admin {
            return Err(policy("rule:get_quota"));
        }
        match request.method {
            Method::GET => {}
            Method::PUT if account.admin => {
                let body = request.body_json().unwrap_or_default();
                self.set_limits(Counted::Network, project, body.get("quota"));
            }
            Method::DELETE if account.admin => {
                self.reset_limits(Counted::Network, project);
                return Ok(Response::empty(204));
            }
            _ => return Err(policy("rule:update_quota")),
        }
        let mut quota = Object::new();
        for (name, limit) in self.limits(Counted::Network, project) {
            let shown = if form == "details" {
                json!({"limit": limit, "used": self.network_usage(project, &name), "reserved": 0})
            } else {
                json!(limit)
            };
            quota.insert(name, shown);
        }
        Ok(Response::json(200, json!({ "quota": quota })))
    }

    fn network_usage(&self, project: &str, name: &str) -> i64 {
        let kind = Kind::ALL.into_iter().find(|kind| kind.member() == name);
        kind.map_or(0, |kind| {
            self.table(kind)
                .filter(|r| text(r, "project_id") == Some(project))
                .count() as i64
        })
    }
}
