//! Lists of servers: filters, sorting, pages. Below 2.75 an unknown filter is dropped without a word.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::super::json::bool_text;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::Caller;
use super::server::Server;

const KNOWN: &[&str] = &[
    "limit",
    "marker",
    "sort_key",
    "sort_dir",
    "changes-since",
    "changes-before",
    "status",
    "name",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
    "all_tenants",
    "flavor",
    "image",
    "reservation_id",
    "ip",
    "ip6",
    "host",
    "deleted",
    "project_id",
    "tenant_id",
    "user_id",
    "uuid",
    "metadata",
    "system_metadata",
    "vm_state",
    "task_state",
    "power_state",
    "access_ip_v4",
    "access_ip_v6",
    "availability_zone",
    "config_drive",
    "key_name",
    "created_at",
    "launched_at",
    "description",
    "locked",
    "locked_by",
    "hostname",
    "root_device_name",
    "kernel_id",
    "ramdisk_id",
    "progress",
    "terminated_at",
    "display_description",
    "display_name",
    "instance_type_id",
    "launch_index",
    "disable_terminate",
    "node",
    "auto_disk_config",
    "soft_deleted",
    "updated_at",
    "image_ref",
    "architecture",
    "cell_name",
    "vm_mode",
];
/// What a project user may filter by (2.1: `servers` policy of search options).
const FOR_USERS: &[&str] = &[
    "reservation_id",
    "name",
    "status",
    "image",
    "flavor",
    "ip",
    "changes-since",
    "all_tenants",
    "changes-before",
    "ip6",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
    "locked",
    "description",
    "availability_zone",
    "config_drive",
    "key_name",
    "created_at",
    "launched_at",
    "terminated_at",
    "power_state",
    "task_state",
    "vm_state",
    "progress",
    "user_id",
    "access_ip_v4",
    "access_ip_v6",
    "uuid",
];

impl World {
    pub(super) fn list_servers(&self, request: &Request, who: Caller<'_>, detail: bool) -> Answer {
        if who.minor >= 75 {
            let unknown = request
                .query
                .iter()
                .find(|(name, _)| !KNOWN.contains(&name.as_str()) && !name.starts_with('_'));
            if let Some((name, _)) = unknown {
                return Err(Refusal::new(
                    400,
                    format!("'{name}' does not match any of the regexes: '^_'"),
                ));
            }
        }
        let limit = page_size(request, self.options.pages.compute)?;
        let all = request
            .arg("all_tenants")
            .is_some_and(|v| v.is_empty() || bool_text(v) == Some(true));
        if all && !who.account.admin {
            return Err(Refusal::new(
                403,
                "Policy doesn't allow os_compute_api:servers:detail:get_all_tenants to be performed.",
            ));
        }
        let since = match request.arg("changes-since") {
            None => None,
            Some(text) => Some(time(text).ok_or_else(|| {
                Refusal::new(400, format!("Invalid changes-since value: {text}"))
            })?),
        };
        let filters = Filters::of(request, who)?;
        let mut found: Vec<&Server> = self
            .compute
            .servers
            .values()
            .filter(|s| all || s.project_id == who.account.project_id)
            .filter(|s| match since {
                // Only this filter shows servers that are gone.
                Some(since) => s.updated >= since,
                None => s.deleted.is_none() || filters.wants_deleted,
            })
            .filter(|s| filters.pass(self, s))
            .collect();
        sort(&mut found, request);
        if let Some(marker) = request.arg("marker") {
            let place = found.iter().position(|s| s.id == marker);
            let place =
                place.ok_or_else(|| Refusal::new(400, format!("marker [{marker}] not found")))?;
            found.drain(..=place);
        }
        // A full page has a link to the next, even if nothing follows.
        let full = found.len() >= limit
            && limit > 0
            && (request.arg("limit").is_some() || found.len() > limit);
        found.truncate(limit);
        let servers: Vec<Value> = found
            .iter()
            .map(|s| {
                if detail {
                    self.server_body(s, who, false)
                } else {
                    self.server_summary(s)
                }
            })
            .collect();
        let mut body = json!({ "servers": servers });
        if let Some(last) = found.last().filter(|_| full) {
            body["servers_links"] = self.next_page(request, &last.id);
        }
        Ok(Response::json(200, body))
    }
}

pub(super) fn page_size(request: &Request, most: usize) -> Result<usize, Refusal> {
    let Some(text) = request.arg("limit") else {
        return Ok(most);
    };
    if text.bytes().any(|b| !b.is_ascii_digit()) {
        return Err(Refusal::new(
            400,
            format!(
                "Invalid input for query parameters limit. Value: {text}. '{text}' does not match '^[0-9]*$'"
            ),
        ));
    }
    let asked = text.parse().unwrap_or(most);
    Ok(if asked == 0 { most } else { asked.min(most) })
}

struct Filters<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    wants_deleted: bool,
}

impl<'a> Filters<'a> {
    fn of(request: &'a Request, who: Caller<'_>) -> Result<Self, Refusal> {
        let pairs: Vec<(&str, &str)> = request
            .query
            .iter()
            .map(|(n, v)| (n.as_str(), v.as_str()))
            .filter(|(name, _)| who.account.admin || FOR_USERS.contains(name))
            .filter(|(name, _)| who.minor >= 26 || !name.contains("tags"))
            .collect();
        let deleted = pairs
            .iter()
            .any(|(n, v)| *n == "status" && v.eq_ignore_ascii_case("deleted"));
        if deleted && !who.account.admin {
            return Err(Refusal::new(
                403,
                "Only administrators may list deleted instances",
            ));
        }
        let deleted = deleted
            || pairs
                .iter()
                .any(|(n, v)| *n == "deleted" && bool_text(v) == Some(true));
        Ok(Self {
            pairs,
            wants_deleted: deleted,
        })
    }

    fn pass(&self, world: &World, server: &Server) -> bool {
        let statuses: Vec<&str> = self
            .pairs
            .iter()
            .filter(|(n, _)| *n == "status")
            .map(|(_, v)| *v)
            .collect();
        let status_fits = statuses.is_empty()
            || statuses
                .iter()
                .any(|s| s.eq_ignore_ascii_case(server.status()));
        status_fits
            && self
                .pairs
                .iter()
                .all(|(name, value)| passes(world, server, name, value))
    }
}

fn passes(world: &World, server: &Server, name: &str, value: &str) -> bool {
    let mut tags = value.split(',');
    match name {
        "name" => pattern_matches(value, &server.name),
        "flavor" => server.flavor.id == value,
        "image" => server.image.as_deref() == Some(value),
        "uuid" => server.id == value,
        "key_name" => server.key_name.as_deref() == Some(value),
        "vm_state" => server.vm_state == value,
        "task_state" => server.task_state == Some(value),
        "power_state" => server.power_state.to_string() == value,
        "description" => server
            .description
            .as_deref()
            .is_some_and(|d| d.contains(value)),
        "locked" => bool_text(value) == Some(server.locked),
        "availability_zone" => value == "nova",
        "tenant_id" | "project_id" => server.project_id == value,
        "user_id" => server.user_id == value,
        "tags" => tags.all(|t| server.tags.contains(t)),
        "tags-any" => tags.any(|t| server.tags.contains(t)),
        "not-tags" => !tags.all(|t| server.tags.contains(t)),
        "not-tags-any" => !tags.any(|t| server.tags.contains(t)),
        "metadata" => {
            let asked: Option<Value> = serde_json::from_str(&value.replace('\'', "\"")).ok();
            let asked = asked.as_ref().and_then(Value::as_object);
            asked.is_none_or(|a| {
                a.iter()
                    .all(|(k, v)| server.metadata.get(k).map(String::as_str) == v.as_str())
            })
        }
        "ip" | "ip6" => {
            let addresses = world.server_addresses(server);
            let mut all = addresses
                .as_object()
                .into_iter()
                .flat_map(|o| o.values())
                .flat_map(|l| l.as_array().into_iter().flatten());
            all.any(|a| {
                a["addr"]
                    .as_str()
                    .is_some_and(|addr| pattern_matches(value, addr))
            })
        }
        "changes-before" => time(value).is_none_or(|before| server.updated <= before),
        _ => true,
    }
}

/// Names are matched by the database's regular expressions: a search, not a comparison. Here `^`, `$`, `.` and `.*`
/// are known, which is what clients send.
fn pattern_matches(pattern: &str, text: &str) -> bool {
    let (anchored, rest) = pattern
        .strip_prefix('^')
        .map_or((false, pattern), |rest| (true, rest));
    let (ended, rest) = rest
        .strip_suffix('$')
        .map_or((false, rest), |rest| (true, rest));
    let (pattern, text): (Vec<char>, Vec<char>) = (
        rest.replace('\\', "").chars().collect(),
        text.chars().collect(),
    );
    let last = if anchored { 0 } else { text.len() };
    (0..=last).any(|start| matches_here(&pattern, &text[start..], ended))
}

fn matches_here(pattern: &[char], text: &[char], ended: bool) -> bool {
    match pattern {
        [] => !ended || text.is_empty(),
        ['.', '*', rest @ ..] => {
            (0..=text.len()).any(|skip| matches_here(rest, &text[skip..], ended))
        }
        [wanted, rest @ ..] => match text {
            [have, left @ ..] if have == wanted || *wanted == '.' => {
                matches_here(rest, left, ended)
            }
            _ => false,
        },
    }
}

fn time(text: &str) -> Option<Timestamp> {
    let zoned = text.ends_with('Z') || text.rfind(['+', '-']).is_some_and(|at| at > 10);
    let text = if zoned {
        text.to_owned()
    } else {
        format!("{text}Z")
    };
    text.parse().ok()
}

fn sort(servers: &mut [&Server], request: &Request) {
    let key = request.arg("sort_key").unwrap_or("created_at");
    let ascending = request.arg("sort_dir") == Some("asc");
    servers.sort_by(|a, b| {
        let order = match key {
            "display_name" | "name" => a.name.cmp(&b.name),
            "uuid" => a.id.cmp(&b.id),
            "updated_at" => a.updated.cmp(&b.updated),
            "vm_state" => a.vm_state.cmp(b.vm_state),
            _ => a.sequence.cmp(&b.sequence),
        };
        if ascending { order } else { order.reverse() }.then(b.sequence.cmp(&a.sequence))
    });
}

#[cfg(test)]
mod tests {
    use super::pattern_matches;

    #[test]
    fn a_name_filter_is_a_search_for_a_pattern() {
        assert!(pattern_matches("web", "my-web-1"));
        assert!(pattern_matches("^web$", "web"));
        assert!(!pattern_matches("^web$", "web1"));
        assert!(pattern_matches("w.b", "wab"));
        assert!(pattern_matches("^a.*z$", "abcz"));
    }
}
