//! Keystone role assignments: a user or a group has a role in a project or a domain.
//!
//! An assignment is nothing but its parts, and has no id; its id here is Keystone's path to it.
//! Assignments that are inherited by projects, and those of the whole system, are not managed.
//! API: <https://docs.openstack.org/api-ref/identity/v3/#roles>.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::manifest::Ref;

use super::call::{Call, Method, Reply, Service, segment};
use super::field::{Change, Field};
use super::health::Health;
use super::keystone;
use super::need::Need;
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Never, Refusal,
};

/// Who has which role, and where. Making one needs an administrator. It has no properties beside
/// its parts: one that is there already is the same one, and is left alone when this goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// The role.
    pub role_ref: Ref,
    /// The user who has it; either this or `groupRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_ref: Option<Ref>,
    /// The group that has it; either this or `userRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_ref: Option<Ref>,
    /// The project in which it has it; either this or `domainRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
    /// The domain in which it has it; either this or `projectRef`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
}

/// Chooses a role assignment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// The role.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role_ref: Option<Ref>,
    /// The user who has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_ref: Option<Ref>,
    /// The group that has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group_ref: Option<Ref>,
    /// The project in which it has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
    /// The domain in which it has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub domain_ref: Option<Ref>,
}

/// What is known of a role assignment.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// The role.
    #[serde(rename = "roleID")]
    pub role_id: String,
    /// The user who has it.
    #[serde(rename = "userID", skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The group that has it.
    #[serde(rename = "groupID", skip_serializing_if = "Option::is_none")]
    pub group_id: Option<String>,
    /// The project in which it has it.
    #[serde(rename = "projectID", skip_serializing_if = "Option::is_none")]
    pub project_id: Option<String>,
    /// The domain in which it has it.
    #[serde(rename = "domainID", skip_serializing_if = "Option::is_none")]
    pub domain_id: Option<String>,
}

/// A role assignment as Keystone answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    role: Part,
    user: Option<Part>,
    group: Option<Part>,
    scope: Scope,
}

#[derive(Debug, Clone, Deserialize)]
struct Part {
    id: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Scope {
    project: Option<Part>,
    domain: Option<Part>,
    #[serde(rename = "OS-INHERIT:inherited_to")]
    inherited_to: Option<String>,
}

/// The kind.
#[derive(Debug)]
pub enum RoleAssignment {}

impl Kind for RoleAssignment {
    const NAME: &'static str = "RoleAssignment";
    const SERVICE: Service = Service::Identity;
    const COLLECTION: Collection = Collection {
        list: "role_assignments",
        query: &[],
        path: "role_assignments",
        route: "{scope}/{id}/{actor}/{id}/roles/{id}",
        one: "role_assignment",
        many: "role_assignments",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::NaturalKey;
    const SINGLE: Option<&'static str> = Some("giving a role twice is giving it once");
    const FIELDS: &'static [Field<Never>] = &[
        Field::new("roleRef", Change::Replace),
        Field::new("userRef", Change::Replace),
        Field::new("groupRef", Change::Replace),
        Field::new("projectRef", Change::Replace),
        Field::new("domainRef", Change::Replace),
    ];
    const OF_THE_CLOUD: bool = true;

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Never;

    fn identity(assignment: &Object) -> Identity {
        let path = path_to(assignment);
        Identity {
            natural_key: (!is_special(assignment)).then(|| path.clone()),
            id: path,
            attached_to: vec![assignment.role.id.clone()],
            ..Identity::default()
        }
    }

    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(assignment: &Object, _: &Attached<'_>) -> Spec {
        let reference = |part: &Option<Part>| part.as_ref().map(|it| Ref::Id(it.id.clone()));
        Spec {
            role_ref: Ref::Id(assignment.role.id.clone()),
            user_ref: reference(&assignment.user),
            group_ref: reference(&assignment.group),
            project_ref: reference(&assignment.scope.project),
            domain_ref: reference(&assignment.scope.domain),
        }
    }

    fn status(assignment: &Object, _: &Attached<'_>) -> Status {
        let id = |part: &Option<Part>| part.as_ref().map(|it| it.id.clone());
        Status {
            role_id: assignment.role.id.clone(),
            user_id: id(&assignment.user),
            group_id: id(&assignment.group),
            project_id: id(&assignment.scope.project),
            domain_id: id(&assignment.scope.domain),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/roleRef", "Role", Some(&mut spec.role_ref), visit);
        keystone::visit("/userRef", "User", spec.user_ref.as_mut(), visit);
        keystone::visit("/groupRef", "Group", spec.group_ref.as_mut(), visit);
        keystone::visit("/projectRef", "Project", spec.project_ref.as_mut(), visit);
        keystone::visit("/domainRef", "Domain", spec.domain_ref.as_mut(), visit);
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        keystone::visit("/roleRef", "Role", filter.role_ref.as_mut(), visit);
        keystone::visit("/userRef", "User", filter.user_ref.as_mut(), visit);
        keystone::visit("/groupRef", "Group", filter.group_ref.as_mut(), visit);
        keystone::visit("/projectRef", "Project", filter.project_ref.as_mut(), visit);
        keystone::visit("/domainRef", "Domain", filter.domain_ref.as_mut(), visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let mut complaints = Vec::new();
        if spec.user_ref.is_some() == spec.group_ref.is_some() {
            complaints.push(
                Complaint::new("", "exactly one of userRef or groupRef is required")
                    .hint("write one assignment for the user, another one for the group"),
            );
        }
        if spec.project_ref.is_some() == spec.domain_ref.is_some() {
            complaints.push(Complaint::new(
                "",
                "exactly one of projectRef or domainRef is required",
            ));
        }
        complaints
    }

    fn natural_key(spec: &Spec, _: &str) -> Option<String> {
        let id = |reference: &Option<Ref>| reference.as_ref()?.id().map(str::to_owned);
        let scope = match (id(&spec.project_ref), id(&spec.domain_ref)) {
            (Some(project), None) => format!("projects/{project}"),
            (None, Some(domain)) => format!("domains/{domain}"),
            _ => return None,
        };
        let actor = match (id(&spec.user_ref), id(&spec.group_ref)) {
            (Some(user), None) => format!("users/{user}"),
            (None, Some(group)) => format!("groups/{group}"),
            _ => return None,
        };
        Some(format!("{scope}/{actor}/roles/{}", spec.role_ref.id()?))
    }

    fn create(spec: &Spec, _: &Birth<'_>) -> Call {
        // Nothing is created before all references are known.
        let path = Self::natural_key(spec, "").unwrap_or_default();
        call(Method::Put, &path)
    }

    /// The answer is empty: the list shows what was made, and it is known by its parts.
    fn born(_: &Reply) -> Option<String> {
        None
    }

    /// No field changes in place, so nothing asks for this: looking again is all there is to do.
    fn update(_: &Spec, assignment: &Object, _: &[&'static str]) -> Call {
        Self::read(&path_to(assignment))
    }

    fn act(action: Never, _: Option<&Element>, _: &Spec, _: &Object) -> Result<Call, Refusal> {
        match action {}
    }

    fn read(id: &str) -> Call {
        call(Method::Get, id)
    }

    /// An empty answer says that it is there.
    fn item(id: &str, _: &Reply) -> Value {
        let parts: Vec<&str> = id.split('/').collect();
        let [scopes, scope, actors, actor, "roles", role] = parts[..] else {
            return Value::Null;
        };
        let one = |many: &str| many.trim_end_matches('s').to_owned();
        json!({"role": {"id": role}, (one(actors)): {"id": actor},
            "scope": {(one(scopes)): {"id": scope}}})
    }

    fn delete(assignment: &Object) -> Call {
        call(Method::Delete, &path_to(assignment))
    }

    fn brand(_: &Object, _: &Birth<'_>) -> Option<Call> {
        None
    }

    fn matches(filter: &Filter, assignment: &Object) -> bool {
        let is = |reference: &Option<Ref>, part: Option<&Part>| {
            keystone::refers(reference.as_ref(), part.map(|it| it.id.as_str()))
        };
        !is_special(assignment)
            && is(&filter.role_ref, Some(&assignment.role))
            && is(&filter.user_ref, assignment.user.as_ref())
            && is(&filter.group_ref, assignment.group.as_ref())
            && is(&filter.project_ref, assignment.scope.project.as_ref())
            && is(&filter.domain_ref, assignment.scope.domain.as_ref())
    }
}

/// Inherited by projects, or of the whole system.
fn is_special(assignment: &Object) -> bool {
    let Scope {
        project,
        domain,
        inherited_to,
    } = &assignment.scope;
    inherited_to.is_some() || (project.is_none() && domain.is_none())
}

/// Keystone's path to it, as its list has it in `links.assignment`.
fn path_to(assignment: &Object) -> String {
    let Object {
        role, user, group, ..
    } = assignment;
    let scope = match (&assignment.scope.project, &assignment.scope.domain) {
        (Some(project), _) => format!("projects/{}", project.id),
        (None, Some(domain)) => format!("domains/{}", domain.id),
        (None, None) => "system".to_owned(),
    };
    let actor = match (user, group) {
        (Some(user), _) => format!("users/{}", user.id),
        (None, Some(group)) => format!("groups/{}", group.id),
        (None, None) => "nobody".to_owned(),
    };
    let path = format!("{scope}/{actor}/roles/{}", role.id);
    match &assignment.scope.inherited_to {
        Some(whom) => format!("OS-INHERIT/{path}/inherited_to_{whom}"),
        None => path,
    }
}

fn call(method: Method, path: &str) -> Call {
    let path: Vec<String> = path.split('/').map(segment).collect();
    let route = RoleAssignment::COLLECTION.route;
    Call::new(Service::Identity, method, route, path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::super::erased::{AnyKind, Intent, Of, unclassified};
    use super::super::neutron::testing::*;
    use super::*;

    const RECORDED: &str = include_str!("testdata/role-assignment.json");

    fn wanted() -> Value {
        json!({"roleRef": {"id": "r"}, "groupRef": {"id": "g"}, "domainRef": {"id": "d"}})
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(
            unclassified(&Of::<RoleAssignment>::NEW),
            Vec::<String>::new()
        );
    }

    #[test]
    fn its_parts_are_the_identity_of_spec_and_assignment() {
        let recorded: Value = serde_json::from_str(RECORDED).unwrap();
        let found = look::<RoleAssignment>(recorded.clone());
        let kind = Of::<RoleAssignment>::NEW;
        let key = kind.natural_key(&projected::<RoleAssignment>(&found), "");
        assert_eq!((&found.natural_key, Some(&found.id)), (&key, key.as_ref()));
        let link = recorded["links"]["assignment"].as_str().unwrap();
        assert!(link.ends_with(&format!("/v3/{}", found.id)), "{link}");
        let expected = json!({"roleID": recorded["role"]["id"], "userID": recorded["user"]["id"],
            "projectID": recorded["scope"]["project"]["id"]});
        assert_eq!(status::<RoleAssignment>(&found), expected);
        let waiting = json!({"roleRef": "r", "userRef": {"id": "u"}, "projectRef": {"id": "p"}});
        assert_eq!(kind.natural_key(&waiting, ""), None);
    }

    #[test]
    fn it_is_made_read_and_deleted_by_its_path() {
        let kind = Of::<RoleAssignment>::NEW;
        let put = request::<RoleAssignment>(&Intent::Create, &wanted(), None).unwrap();
        let path = "domains/d/groups/g/roles/r";
        assert_eq!((put.method, put.path.as_str()), (Method::Put, path));
        let read = kind.read(path);
        assert_eq!((read.method, read.path.as_str()), (Method::Get, path));
        let answer = Reply {
            status: 204,
            body: Value::Null,
            request_id: None,
        };
        assert_eq!(kind.born(&answer), None);
        let found = look::<RoleAssignment>(kind.item(path, &answer));
        assert_eq!(found.id, path);
        assert_eq!(projected::<RoleAssignment>(&found), wanted());
        let delete = request::<RoleAssignment>(&Intent::Delete, &Value::Null, Some(&found));
        let delete = delete.unwrap();
        assert_eq!(
            (delete.method, delete.path.as_str()),
            (Method::Delete, path)
        );
    }

    #[test]
    fn inherited_ones_and_those_of_the_system_are_others() {
        let mut inherited: Value = serde_json::from_str(RECORDED).unwrap();
        let plain = look::<RoleAssignment>(inherited.clone());
        inherited["scope"]["OS-INHERIT:inherited_to"] = json!("projects");
        let system = json!({"role": {"id": "r"}, "user": {"id": "u"},
            "scope": {"system": {"all": true}}});
        for other in [inherited, system] {
            let found = look::<RoleAssignment>(other);
            assert_ne!(found.id, plain.id);
            assert_eq!(found.natural_key, None);
            assert!(!chooses::<RoleAssignment>(&json!({}), &found));
        }
        assert!(chooses::<RoleAssignment>(&json!({}), &plain));
    }

    #[test]
    fn the_filter_goes_by_all_that_it_sets() {
        let found = fixture::<RoleAssignment>(RECORDED);
        let spec = projected::<RoleAssignment>(&found);
        assert!(chooses::<RoleAssignment>(&spec, &found));
        for field in ["roleRef", "userRef", "groupRef", "projectRef", "domainRef"] {
            let mut other = spec.clone();
            other[field] = json!({"id": "another"});
            assert!(!chooses::<RoleAssignment>(&other, &found), "{field}");
        }
    }

    #[test]
    fn one_actor_and_one_scope() {
        let complaints = |spec: Value| complaints::<RoleAssignment>(&spec).len();
        assert_eq!(complaints(json!({"roleRef": "r"})), 2);
        assert_eq!(
            complaints(json!({"roleRef": "r", "userRef": "u", "groupRef": "g",
            "projectRef": "p"})),
            1
        );
        assert_eq!(
            complaints(json!({"roleRef": "r", "userRef": "u", "projectRef": "p",
            "domainRef": "d"})),
            1
        );
        assert_eq!(
            complaints(json!({"roleRef": "r", "groupRef": "g", "domainRef": "d"})),
            0
        );
    }
}
