//! One cloud: from its settings to its quotas, as far as it can be reached.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use crate::cloud::profile::{ConfigError, Profile};
use crate::cloud::{Behind, Cloud, Options, Scope};
use crate::engine::desired::{Desired, Object};
use crate::engine::scope::{self, Fingerprint};
use crate::kinds::call::{Call, CallError, Method, Microversion, Service};
use crate::kinds::erased::{AnyKind, Intent};
use crate::kinds::marker::Owner;
use crate::kinds::need::Material;
use crate::kinds::quota::{self, Amount, Limits};
use crate::kinds::{Birth, KINDS};
use crate::manifest::Key;

use super::check::Checks;
use super::microversions::{SINCE, missing, shown};

/// A person waits for the answer.
const TIMEOUT: Duration = Duration::from_secs(15);

/// Clocks that differ by more make expiry and time filters wrong.
const SKEW: i64 = 60;

/// A token that ends earlier may end during an upload.
const SHORT: i64 = 600;

/// What the manifests want of a cloud.
#[derive(Default)]
pub(super) struct Wanted {
    /// The declared kinds.
    kinds: BTreeMap<&'static str, &'static dyn AnyKind>,
    /// The objects that need a microversion to be created.
    needs: Vec<(Key, Service, Microversion)>,
}

impl Wanted {
    pub(super) fn of(scope: &scope::Scope, desired: &Desired) -> Self {
        let mut wanted = Self::default();
        for (key, object) in desired.objects.iter().filter(|(_, it)| it.scope == *scope) {
            wanted.kinds.insert(object.kind.name(), object.kind);
            if let Some((service, at)) = needed(key, object) {
                wanted.needs.push((key.clone(), service, at));
            }
        }
        wanted
    }

    fn services(&self) -> BTreeSet<Service> {
        self.kinds.values().map(|kind| kind.service()).collect()
    }
}

/// The microversion of the request that creates an object. References are still names, which is no
/// matter here.
fn needed(key: &Key, object: &Object) -> Option<(Service, Microversion)> {
    let birth = Birth {
        name: &object.name,
        marker: Owner(Uuid::nil()).marker(key, 0),
        object: "",
        id: Uuid::nil(),
        material: &Material::default(),
    };
    let spec = object.accepted.spec.as_ref()?;
    let call = object
        .kind
        .request(&Intent::Create, &spec.value(), None, &birth);
    let call = call.ok()?;
    Some((call.service, call.microversion?))
}

/// Makes all the checks of one cloud.
pub(super) async fn check(
    profile: Result<Profile, ConfigError>,
    wanted: &Wanted,
    before: Option<&Fingerprint>,
    checks: &mut Checks,
) {
    let options = Options {
        timeout: Some(TIMEOUT),
        ..Options::default()
    };
    let (profile, cloud) = match profile.and_then(|it| Ok((it.clone(), Cloud::new(it, options)?))) {
        Ok(both) => both,
        Err(error) => {
            let remedy = error
                .hint()
                .unwrap_or_else(|| "correct clouds.yaml".to_owned());
            checks.fail("credentials", error.to_string(), remedy);
            return;
        }
    };
    credentials(&profile, checks);
    let scope = match cloud.scope().await {
        Ok(scope) => scope,
        Err(error) => {
            let (message, remedy) = words(&error);
            let remedy = remedy.unwrap_or_else(|| {
                format!(
                    "can it be reached? curl -sS {}",
                    profile.auth_url.as_ref().map_or("", |url| url.as_str())
                )
            });
            checks.fail("token", message, remedy);
            return;
        }
    };
    token(&cloud, &scope, before, checks);
    clock(&cloud, checks);
    projects(&cloud, &scope, checks).await;
    catalog(&scope, wanted, checks);
    let mut services = wanted.services();
    if wanted.kinds.is_empty() {
        services.extend(scope.endpoints.keys());
    }
    for service in services {
        if scope.endpoints.contains_key(&service) {
            endpoint(&cloud, service, wanted, checks).await;
        }
    }
    if let Some(project) = &scope.project_id {
        for service in [Service::Compute, Service::BlockStorage, Service::Network] {
            if scope.endpoints.contains_key(&service) {
                quotas(&cloud, service, project, checks).await;
            }
        }
    }
}

/// Which settings there are and where each stands; no values but those that are no secret.
fn credentials(profile: &Profile, checks: &mut Checks) {
    let origins = profile.origins();
    let places: Map<String, Value> = origins
        .iter()
        .map(|(name, origin)| (name.clone(), json!(origin.to_string())))
        .collect();
    let details = origins
        .iter()
        .map(|(name, origin)| format!("{name:<24} {origin}"));
    let url = profile.auth_url.as_ref().map(|url| {
        // What else stands in an address may be a secret.
        format!("{}://{}{}", url.scheme(), url.authority(), url.path())
    });
    let url = url.filter(|_| {
        profile
            .auth_url
            .as_ref()
            .is_some_and(|it| it.password().is_none())
    });
    let region = profile.region.as_deref();
    let mut message = format!("{} from {}", profile.name, files(profile).join(", "));
    if let Some(url) = &url {
        message.push_str(&format!(", Keystone at {url}"));
    }
    if let Some(region) = region {
        message.push_str(&format!(", region {region}"));
    }
    let facts = json!({"name": profile.name, "authUrl": url, "region": region,
                       "interfaces": profile.interfaces, "sources": places});
    checks
        .ok("credentials", message)
        .facts(facts)
        .details(details);
    for warning in &profile.warnings {
        checks.warn("credentials", warning.clone(), "correct clouds.yaml");
    }
}

/// The files and variables that the settings come from, each once.
fn files(profile: &Profile) -> Vec<String> {
    let mut files: BTreeSet<String> = BTreeSet::new();
    for origin in profile.origins().values() {
        let place = origin.to_string();
        // `clouds.yaml:7:5` without its line and column.
        let mut parts = place.rsplitn(3, ':');
        let numbers = [parts.next(), parts.next()];
        let is_place = numbers
            .iter()
            .all(|it| it.is_some_and(|it| it.parse::<u32>().is_ok()));
        files.insert(match (is_place, parts.next()) {
            (true, Some(file)) => file.to_owned(),
            _ => place.clone(),
        });
    }
    if files.is_empty() {
        return vec!["its own settings".to_owned()];
    }
    files.into_iter().collect()
}

fn token(cloud: &Cloud, scope: &Scope, before: Option<&Fingerprint>, checks: &mut Checks) {
    let login = cloud.login();
    let roles = login
        .as_ref()
        .map(|it| it.roles.clone())
        .unwrap_or_default();
    let expires = login.as_ref().and_then(|it| it.expires);
    let left = expires.map(|at| at.as_second() - now().as_second());
    let name = |name: &Option<String>, id: &Option<String>| {
        let word = name.as_ref().or(id.as_ref());
        word.cloned().unwrap_or_else(|| "?".to_owned())
    };
    let whose = match (&scope.project_id, &scope.domain_id, scope.system) {
        (Some(_), _, _) => format!("project {}", name(&scope.project_name, &scope.project_id)),
        (None, Some(domain), _) => format!("domain {domain}"),
        (None, None, true) => "the system".to_owned(),
        (None, None, false) => "no scope".to_owned(),
    };
    let user = name(&scope.user_name, &scope.user_id);
    let mut message = format!("user {user}, {whose}");
    if !roles.is_empty() {
        message.push_str(&format!(", roles {}", roles.join(", ")));
    }
    if let Some(left) = left {
        message.push_str(&format!(", for {}", minutes(left)));
    }
    let facts = json!({"user": scope.user_name, "userId": scope.user_id,
        "project": scope.project_name, "projectId": scope.project_id, "domainId": scope.domain_id,
        "system": scope.system, "roles": roles, "expires": expires.map(|it| it.to_string())});
    let check = match left {
        Some(left) if left < SHORT => {
            let remedy = "a long upload may outlast it: have Keystone give tokens for an hour";
            checks.warn("token", message, remedy)
        }
        _ => checks.ok("token", message),
    };
    check.facts(facts);
    let fingerprint = Fingerprint {
        project: scope.project_id.clone().unwrap_or_default(),
        user: scope.user_id.clone().unwrap_or_default(),
        region: scope.region.clone(),
        auth_url: scope.auth_url.clone(),
    };
    // A domain or the system is compared by the daemon; its words for them are its own.
    let difference = before.filter(|_| scope.project_id.is_some());
    if let Some(difference) = difference.and_then(|it| it.difference(&fingerprint)) {
        let remedy =
            "nothing is written there: correct the credentials, or use another --state-dir";
        checks.fail(
            "identity",
            format!("not the cloud of the journal: {difference}"),
            remedy,
        );
    }
}

fn clock(cloud: &Cloud, checks: &mut Checks) {
    let Some(skew) = cloud.login().and_then(|it| it.skew) else {
        checks.ok("clock", "the cloud does not tell its time");
        return;
    };
    let facts = json!({"secondsAhead": skew});
    if skew.abs() <= SKEW {
        let message = format!("differs by {} s from the cloud's", skew.abs());
        checks.ok("clock", message).facts(facts);
        return;
    }
    let word = if skew > 0 { "behind" } else { "ahead of" };
    let message = format!("this machine is {} {word} the cloud", minutes(skew.abs()));
    let remedy = "set the clock that is wrong: timedatectl set-ntp true";
    checks.warn("clock", message, remedy).facts(facts);
}

async fn projects(cloud: &Cloud, scope: &Scope, checks: &mut Checks) {
    let call = Call::new(
        Service::Identity,
        Method::Get,
        "auth/projects",
        "auth/projects",
    );
    match cloud.send(&call, None).await {
        Ok(reply) => {
            let list = reply.body["projects"]
                .as_array()
                .cloned()
                .unwrap_or_default();
            let text = |it: &Value, key: &str| it[key].as_str().map(str::to_owned);
            let rows: Vec<(Option<String>, Option<String>)> = list
                .iter()
                .map(|it| (text(it, "id"), text(it, "name")))
                .collect();
            let names: Vec<String> = rows.iter().filter_map(|(_, name)| name.clone()).collect();
            let facts = json!(
                rows.iter()
                    .map(|(id, name)| json!({"id": id, "name": name}))
                    .collect::<Vec<_>>()
            );
            let own = scope.project_name.clone().unwrap_or_default();
            let message = format!("{} for this user: {}", names.len(), brief(&names, &own));
            checks.ok("projects", message).facts(facts).details(names);
        }
        // Keystone of v2.0 has no such question.
        Err(error) if error.is_not_found() => {
            checks.ok("projects", "this Keystone does not tell which there are");
        }
        Err(error) => {
            let (message, remedy) = words(&error);
            let remedy = remedy.unwrap_or_else(|| "only `export --project` needs it".to_owned());
            checks.warn("projects", message, remedy);
        }
    }
}

fn catalog(scope: &Scope, wanted: &Wanted, checks: &mut Checks) {
    let known: Vec<String> = scope.endpoints.keys().map(ToString::to_string).collect();
    let facts: Map<String, Value> = scope
        .endpoints
        .iter()
        .map(|(service, url)| (service.to_string(), json!(url)))
        .collect();
    let lines = scope
        .endpoints
        .iter()
        .map(|(service, url)| format!("{service:<20} {url}"));
    checks
        .ok(
            "catalog",
            format!("{} services: {}", known.len(), known.join(", ")),
        )
        .facts(Value::Object(facts))
        .details(lines);
    for service in wanted.services() {
        if !scope.endpoints.contains_key(&service) {
            let kinds = kinds_of(wanted, service);
            let key = service.as_str().replace('-', "_");
            checks.fail(
                "catalog",
                format!("no {service} service, which {} need", kinds.join(", ")),
                format!(
                    "set `{key}_endpoint_override` or `region_name` in clouds.yaml if there is one"
                ),
            );
        }
    }
}

async fn endpoint(cloud: &Cloud, service: Service, wanted: &Wanted, checks: &mut Checks) {
    let name = service.as_str();
    let behind = match cloud.behind(service).await {
        Ok(behind) => behind,
        Err(error) => {
            let (message, remedy) = words(&error);
            let usual = "the catalog's address must be reachable from here";
            checks.fail(name, message, remedy.unwrap_or_else(|| usual.to_owned()));
            return;
        }
    };
    let began = Instant::now();
    let (mut read, mut refused) = (Vec::new(), Vec::new());
    for kind in probes(wanted, service) {
        match probe(cloud, kind).await {
            Ok(()) => read.push(kind.name()),
            Err(error) => refused.push((kind.name(), error)),
        }
    }
    let elapsed = began.elapsed().as_millis();
    let facts = json!({"url": behind.url, "read": read, "milliseconds": elapsed,
        "microversions": behind.microversions.map(|(oldest, newest)| json!({
            "oldest": shown(oldest), "newest": shown(newest)}))});
    let versions = behind
        .microversions
        .map(|(oldest, newest)| format!(", microversions {} to {}", shown(oldest), shown(newest)));
    if refused.is_empty() {
        let message = format!(
            "{}{}, answered in {elapsed} ms",
            behind.url,
            versions.unwrap_or_default()
        );
        let what = (!read.is_empty()).then(|| format!("read: {}", read.join(", ")));
        checks.ok(name, message).facts(facts).details(what);
    }
    for (kind, error) in refused {
        let (message, remedy) = words(&error);
        let remedy = remedy.unwrap_or_else(|| match error.status() {
            Some(401 | 403) => "give the user a role that may read it".to_owned(),
            Some(404) => "is the service of that version? see -o wide".to_owned(),
            _ => format!("look at the service at {}", behind.url),
        });
        checks.fail(name, format!("{kind} cannot be read: {message}"), remedy);
    }
    microversions(service, &behind, wanted, checks);
}

/// What is read of a service: the declared kinds, or else the first that everybody may read.
fn probes(wanted: &Wanted, service: Service) -> Vec<&'static dyn AnyKind> {
    let of_service = |kind: &&dyn AnyKind| kind.service() == service;
    let declared: Vec<_> = wanted.kinds.values().copied().filter(of_service).collect();
    if !wanted.kinds.is_empty() || service == Service::Identity {
        return declared;
    }
    let of_a_project = |kind: &&dyn AnyKind| of_service(kind) && !kind.of_the_cloud();
    KINDS
        .iter()
        .copied()
        .find(of_a_project)
        .into_iter()
        .collect()
}

/// Reads one item of a collection: is it there, and may we?
async fn probe(cloud: &Cloud, kind: &dyn AnyKind) -> Result<(), CallError> {
    let list = kind.list();
    let mut call = Call::new(list.service, Method::Get, list.path, list.path);
    call.query = list.query.clone();
    call.query.push(("limit".to_owned(), "1".to_owned()));
    call.microversion = list.microversion;
    cloud.send(&call, None).await.map(drop)
}

fn microversions(service: Service, behind: &Behind, wanted: &Wanted, checks: &mut Checks) {
    if !SINCE.iter().any(|it| it.service == service) {
        return;
    }
    let Some((_, newest)) = behind.microversions else {
        let message = format!("{service} hides or has none: the oldest that do are asked for");
        checks.ok("microversions", message);
        return;
    };
    let lacks =
        |needs: &&(Key, Service, Microversion)| needs.1 == service && needs.2.floor > newest;
    for (key, _, at) in wanted.needs.iter().filter(lacks) {
        let (floor, newest) = (shown(at.floor), shown(newest));
        let message = format!(
            "{} needs {service} {floor}, this cloud ends at {newest}",
            key.short()
        );
        let remedy = "leave out what came later, as the next line has it, or upgrade the cloud";
        checks.fail("microversions", message, remedy);
    }
    let missing = missing(service, newest);
    if !missing.is_empty() {
        let what: Vec<String> = missing
            .iter()
            .map(|it| format!("{} ({})", it.what, shown(it.version)))
            .collect();
        let message = format!(
            "{service} ends at {}, so no {}",
            shown(newest),
            what.join(", ")
        );
        checks.warn(
            "microversions",
            message,
            "do not set these fields, or upgrade the cloud",
        );
    }
}

async fn quotas(cloud: &Cloud, service: Service, project: &str, checks: &mut Checks) {
    let Some(get) = quota::read(service, project) else {
        return;
    };
    let name = format!("quota {service}");
    let limits = match cloud.send(&Call::from(&get), None).await {
        Ok(reply) => Limits::of(service, &reply.body),
        Err(error) => {
            let (message, _) = words(&error);
            let remedy = "it holds nothing up: the service decides when something is created";
            checks.warn(&name, message, remedy);
            return;
        }
    };
    let known = limits
        .0
        .iter()
        .filter(|(name, _)| quota::RESOURCES.contains(&name.as_str()));
    let known: Vec<(&String, &Amount)> = known.collect();
    let line = |(name, amount): &(&String, &Amount)| match amount.limit {
        Some(limit) => format!("{name} {}/{limit}", amount.used),
        None => format!("{name} {} of any number", amount.used),
    };
    let is_full = |it: &&(&String, &Amount)| it.1.limit.is_some_and(|limit| it.1.used >= limit);
    let bounded = known.iter().filter(|it| it.1.limit.is_some());
    let mut text: Vec<String> = bounded.map(line).collect();
    if text.len() < known.len() {
        text.push(format!("{} without limit", known.len() - text.len()));
    }
    let full: Vec<String> = known.iter().filter(is_full).map(line).collect();
    let facts = json!(limits.0);
    let details: Vec<String> = known.iter().map(line).collect();
    if full.is_empty() {
        checks
            .ok(&name, text.join(", "))
            .facts(facts)
            .details(details);
    } else {
        let remedy = "ask the cloud's operator for more, or delete what is not needed";
        let message = format!("used up: {}", full.join(", "));
        checks
            .warn(&name, message, remedy)
            .facts(facts)
            .details(details);
    }
}

fn kinds_of(wanted: &Wanted, service: Service) -> Vec<&'static str> {
    let kinds = wanted
        .kinds
        .values()
        .filter(|kind| kind.service() == service);
    kinds.map(|kind| kind.name()).collect()
}

fn words(error: &CallError) -> (String, Option<String>) {
    match error {
        CallError::NotSent { message, hint } => (message.clone(), hint.clone()),
        other => (other.to_string(), None),
    }
}

/// The first names of a long list, and in any case the one that is in use.
fn brief(names: &[String], own: &str) -> String {
    const MOST: usize = 5;
    if names.len() <= MOST {
        return names.join(", ");
    }
    let mut shown: Vec<&str> = names.iter().take(MOST).map(String::as_str).collect();
    if !own.is_empty() && !shown.contains(&own) {
        shown[MOST - 1] = own;
    }
    format!("{} and {} more", shown.join(", "), names.len() - MOST)
}

fn minutes(seconds: i64) -> String {
    match seconds {
        ..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a token still lives is asked by a person, now"
)]
fn now() -> Timestamp {
    Timestamp::now()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_cut_and_keeps_what_is_in_use() {
        let names: Vec<String> = (0..9).map(|it| format!("p{it}")).collect();
        assert_eq!(brief(&names[..2], "p1"), "p0, p1");
        assert_eq!(brief(&names, "p8"), "p0, p1, p2, p3, p8 and 4 more");
    }

    #[test]
    fn times_are_said_as_people_say_them() {
        assert_eq!(
            [minutes(59), minutes(3599), minutes(86_400)],
            ["59 s", "59 min", "24 h"]
        );
    }
}
