//! Quotas and limits of Cinder.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{Object, bool_text};
use super::super::quota::Counted;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::{Account, World};
use super::create::over_quota;

impl World {
    pub(super) fn check_volume_quota(
        &self,
        project: &str,
        volumes: i64,
        gigabytes: i64,
    ) -> Result<(), Refusal> {
        for (name, asked) in [("volumes", volumes), ("gigabytes", gigabytes)] {
            let (limit, used) = (
                self.limit(Counted::Volume, project, name),
                self.volume_usage(project, name),
            );
            if asked > 0 && limit >= 0 && used + asked > limit {
                return Err(over_quota(name, asked, limit, used));
            }
        }
        Ok(())
    }

    pub(super) fn check_snapshot_quota(&self, project: &str) -> Result<(), Refusal> {
        let (limit, used) = (
            self.limit(Counted::Volume, project, "snapshots"),
            self.volume_usage(project, "snapshots"),
        );
        if limit >= 0 && used >= limit {
            Err(over_quota("snapshots", 1, limit, used))
        } else {
            Ok(())
        }
    }

    pub(super) fn volume_limits(&self, account: &Account) -> Value {
        let project = &account.project_id;
        let limit = |name: &str| self.limit(Counted::Volume, project, name);
        let used = |name: &str| self.volume_usage(project, name);
        json!({"limits": {"rate": [], "absolute": {
            "maxTotalVolumes": limit("volumes"), "maxTotalSnapshots": limit("snapshots"),
            "maxTotalVolumeGigabytes": limit("gigabytes"), "maxTotalBackups": limit("backups"),
            "maxTotalBackupGigabytes": limit("backup_gigabytes"), "totalVolumesUsed": used("volumes"),
            "totalGigabytesUsed": used("gigabytes"), "totalSnapshotsUsed": used("snapshots"),
            "totalBackupsUsed": 0, "totalBackupGigabytesUsed": 0}}})
    }

    pub(super) fn volume_quota_sets(
        &mut self,
        request: &Request,
        account: &Account,
        project: &str,
        path: &[&str],
    ) -> Answer {
        if project != account.project_id && !account.admin {
            return Err(Refusal::new(
                403,
                "Policy doesn't allow volume_extension:quotas:show to be performed.",
            ));
        }
        match (&request.method, path) {
            (&Method::GET, [] | ["defaults"]) => {}
            (&Method::PUT, []) if account.admin => {
                let body = request.body_json().unwrap_or_default();
                self.set_limits(Counted::Volume, project, body.get("quota_set"));
            }
            (&Method::DELETE, []) if account.admin => {
                self.reset_limits(Counted::Volume, project);
                return Ok(Response::empty(200));
            }
            _ => {
                return Err(Refusal::new(
                    403,
                    "Policy doesn't allow volume_extension:quotas:update to be performed.",
                ));
            }
        }
        let with_usage = request.arg("usage").and_then(bool_text).unwrap_or(false);
        let mut set = Object::from_iter([("id".to_owned(), json!(project))]);
        for (name, limit) in self.limits(Counted::Volume, project) {
            let shown = if with_usage {
                json!({"limit": limit, "in_use": self.volume_usage(project, &name), "reserved": 0})
            } else {
                json!(limit)
            };
            set.insert(name, shown);
        }
        Ok(Response::json(200, json!({ "quota_set": set })))
    }

    fn volume_usage(&self, project: &str, name: &str) -> i64 {
        let volumes = self
            .volumes
            .volumes
            .values()
            .filter(|v| v.project_id == project);
        let snapshots = self
            .volumes
            .snapshots
            .values()
            .filter(|s| s.project_id == project);
        match name {
            "volumes" => volumes.count() as i64,
            "gigabytes" => {
                volumes.map(|v| v.size).sum::<i64>() + snapshots.map(|s| s.size).sum::<i64>()
            }
            "snapshots" => snapshots.count() as i64,
            _ => 0,
        }
    }
}
