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
    /// So many volumes and gigabytes of a type fit into the project's quota and into the type's.
    pub(super) fn check_volume_quota(
        &self,
        project: &str,
        type_name: &str,
        volumes: i64,
        gigabytes: i64,
    ) -> Result<(), Refusal> {
        for (name, asked) in [("volumes", volumes), ("gigabytes", gigabytes)] {
            self.check_room(project, name, asked)?;
            self.check_room(project, &format!("{name}_{type_name}"), asked)?;
        }
        Ok(())
    }

    pub(super) fn check_type_quota(
        &self,
        project: &str,
        type_name: &str,
        gigabytes: i64,
    ) -> Result<(), Refusal> {
        self.check_room(project, &format!("volumes_{type_name}"), 1)?;
        self.check_room(project, &format!("gigabytes_{type_name}"), gigabytes)
    }

    pub(super) fn check_snapshot_quota(
        &self,
        project: &str,
        type_name: &str,
        gigabytes: i64,
    ) -> Result<(), Refusal> {
        self.check_room(project, "gigabytes", gigabytes)?;
        self.check_room(project, &format!("gigabytes_{type_name}"), gigabytes)?;
        self.check_room(project, "snapshots", 1)?;
        self.check_room(project, &format!("snapshots_{type_name}"), 1)
    }

    /// Is a volume of this size allowed, whatever there is room for?
    pub(super) fn check_volume_size(&self, project: &str, gigabytes: i64) -> Result<(), Refusal> {
        let limit = self.limit(Counted::Volume, project, "per_volume_gigabytes");
        if limit >= 0 && gigabytes > limit {
            let text = format!(
                "VolumeSizeExceedsLimit: Requested volume size {gigabytes}G is larger than maximum allowed limit {limit}G."
            );
            return Err(Refusal::new(413, text).with("Retry-After", "0"));
        }
        Ok(())
    }

    fn check_room(&self, project: &str, name: &str, asked: i64) -> Result<(), Refusal> {
        let limit = self.limit(Counted::Volume, project, name);
        let used = self.volume_usage(project, name);
        if asked > 0 && limit >= 0 && used + asked > limit {
            return Err(over_quota(name, asked, limit, used));
        }
        Ok(())
    }

    /// The names of all quotas: each type has its own.
    fn volume_quota_names(&self) -> Vec<String> {
        let types = self.volumes.types.iter().map(|it| &it.name);
        let typed = types.flat_map(|of| {
            ["volumes", "gigabytes", "snapshots"].map(|name| format!("{name}_{of}"))
        });
        let mut names: Vec<String> = self.options.quotas.volume.keys().cloned().collect();
        names.extend(typed);
        names.sort();
        names.dedup();
        names
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
        for name in self.volume_quota_names() {
            let limit = self.limit(Counted::Volume, project, &name);
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
        let (what, of) = match name.split_once('_') {
            Some((what @ ("volumes" | "gigabytes" | "snapshots"), of)) => (what, Some(of)),
            _ => (name, None),
        };
        let is_of = |type_name: &str| of.is_none_or(|of| of == type_name);
        let volumes = self
            .volumes
            .volumes
            .values()
            .filter(|v| v.project_id == project && is_of(&v.type_name));
        let type_of = |id: &str| self.volumes.volumes.get(id).map_or("", |v| &*v.type_name);
        let snapshots = self
            .volumes
            .snapshots
            .values()
            .filter(|s| s.project_id == project && is_of(type_of(&s.volume_id)));
        match what {
            "volumes" => volumes.count() as i64,
            "gigabytes" => {
                volumes.map(|v| v.size).sum::<i64>() + snapshots.map(|s| s.size).sum::<i64>()
            }
            "snapshots" => snapshots.count() as i64,
            _ => 0,
        }
    }
}
