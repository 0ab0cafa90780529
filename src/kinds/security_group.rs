//! Neutron security groups with their rules.
//!
//! API: <https://docs.openstack.org/api-ref/network/v2/#security-groups-security-groups>. Which
//! rules are the same is the business of `rule`.

pub mod rule;

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, json};

use crate::manifest::Ref;

use super::call::{Call, Method, Reply, Service, segment};
use super::erased::Intent;
use super::field::{Change, Compare, Field};
use super::health::Health;
use super::need::{Inputs, Material, Need, What};
use super::neutron::{self, Standard, StandardStatus, Wanted};
use super::quota::{Demand, Nearby};
use super::{
    Attached, Birth, Collection, Complaint, Element, Identity, Kind, MarkerPlace, Refusal,
};

use rule::{Direction, Ethertype, PortRange, Rule, RuleObject};

/// As many rules as ORC takes.
const MAX_RULES: usize = 256;

/// A security group.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Spec {
    /// Name in the cloud; the object's own name if not set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Free text for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The rules. If set, the whole set is owned: Neutron's default rules, which let everything
    /// out, are removed unless they are listed. If not set, no rule is looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 256))]
    pub rules: Option<Vec<Rule>>,
    /// Whether answers are let through by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stateful: Option<bool>,
    /// Tags; the whole set is owned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// The project that it is made in; that of the credentials if not set. Needs an administrator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// Chooses security groups by what the API returns of them.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Filter {
    /// Exact name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Exact description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// It has all of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// It has at least one of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tags_any: Option<Vec<String>>,
    /// It does not have all of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tags: Option<Vec<String>>,
    /// It has none of these tags.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_tags_any: Option<Vec<String>>,
    /// The project that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_ref: Option<Ref>,
}

/// What is known of a security group.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// What every resource of Neutron has.
    #[serde(flatten)]
    pub standard: StandardStatus,
    /// Whether answers are let through by themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stateful: Option<bool>,
    /// The rules.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<RuleStatus>,
}

/// A rule, as it is.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RuleStatus {
    /// Its id.
    pub id: String,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Into the port or out of it.
    pub direction: Direction,
    /// Which IP.
    pub ethertype: Ethertype,
    /// The ports; of ICMP, type and code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub port_range: Option<PortRange>,
    /// The protocol.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The other side's security group.
    #[serde(rename = "remoteGroupID", skip_serializing_if = "Option::is_none")]
    pub remote_group_id: Option<String>,
    /// The other side's addresses.
    #[serde(rename = "remoteIPPrefix", skip_serializing_if = "Option::is_none")]
    pub remote_ip_prefix: Option<String>,
}

/// A security group as Neutron answers it.
#[derive(Debug, Clone, Deserialize)]
pub struct Object {
    #[serde(flatten)]
    standard: Standard,
    stateful: Option<bool>,
    #[serde(default)]
    security_group_rules: Vec<RuleObject>,
}

impl Object {
    fn rules(&self) -> impl Iterator<Item = Rule> {
        self.security_group_rules
            .iter()
            .map(|it| it.rule(&self.standard.id))
    }
}

/// Requests of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Add a rule.
    AddRule,
    /// Remove a rule.
    RemoveRule,
    /// Replace the tags.
    SetTags,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AddRule => "add rule",
            Self::RemoveRule => "remove rule",
            Self::SetTags => "set tags",
        })
    }
}

/// The kind.
#[derive(Debug)]
pub enum SecurityGroup {}

impl Kind for SecurityGroup {
    const NAME: &'static str = "SecurityGroup";
    const SERVICE: Service = Service::Network;
    const COLLECTION: Collection = Collection {
        list: "security-groups",
        query: &[],
        path: "security-groups",
        route: "security-groups/{id}",
        one: "security_group",
        many: "security_groups",
        read: None,
    };
    const MARKER: MarkerPlace = MarkerPlace::Description;
    const ANSWERS_WHOLE: bool = true;
    const FIELDS: &'static [Field<Action>] = &[
        Field::new("name", Change::Update),
        Field::new("description", Change::Update),
        Field::new(
            "rules",
            Change::Members {
                add: Action::AddRule,
                remove: Action::RemoveRule,
            },
        )
        .by(Compare::Elements(rule::IDENTITY)),
        Field::new("tags", Change::Action(Action::SetTags)).by(Compare::Set),
        // Neutron takes it of a group that no port uses; a group that is made for ports has some.
        Field::new("stateful", Change::Replace),
        Field::new("projectRef", Change::Replace),
    ];

    const LATER: &'static [&'static str] = &["rules"];
    const NATIVE_FIELDS: &'static [&'static str] = &[
        "/rules/*/remoteGroupRef",
        "/rules/*/remoteSelf",
        "/rules/*/remoteAddressGroupID",
    ];

    type Spec = Spec;
    type Filter = Filter;
    type Status = Status;
    type Object = Object;
    type Action = Action;

    fn identity(group: &Object) -> Identity {
        group.standard.identity()
    }

    /// A security group has no state: it is there or it is not.
    fn health(_: &Object) -> Health {
        Health::Ready
    }

    fn project(group: &Object, _: &Attached<'_>) -> Spec {
        Spec {
            name: Some(group.standard.name().to_owned()),
            description: Some(group.standard.text().to_owned()),
            rules: Some(group.rules().collect()),
            stateful: group.stateful,
            tags: Some(group.standard.tags()),
            project_ref: group.standard.project_ref(),
        }
    }

    fn abridge(spec: &mut Spec) {
        // An empty list of rules is not left out: a new group has some.
        let _ = spec.description.take_if(|it| it.is_empty());
        let _ = spec.stateful.take_if(|it| *it);
        let _ = spec.tags.take_if(|it| it.is_empty());
        // Neutron gives them in any order.
        if let Some(rules) = &mut spec.rules {
            rules.sort_by_cached_key(|rule| json!(rule).to_string());
        }
    }

    fn made_by_cloud(group: &Object) -> Option<&'static str> {
        // Neutron keeps the name for it.
        (group.standard.name() == "default").then_some("every project has one")
    }

    fn status(group: &Object, _: &Attached<'_>) -> Status {
        let rule = |it: &RuleObject| RuleStatus {
            id: it.id.clone(),
            description: it.description.as_deref().and_then(neutron::filled),
            direction: it.direction,
            ethertype: it.ethertype,
            port_range: it.port_range(),
            protocol: it.protocol.clone(),
            remote_group_id: it.remote_group_id.clone(),
            remote_ip_prefix: it.remote_ip_prefix.map(|block| block.to_string()),
        };
        Status {
            standard: group.standard.status(),
            stateful: group.stateful,
            rules: group.security_group_rules.iter().map(rule).collect(),
        }
    }

    fn needs(spec: &mut Spec, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut spec.project_ref, visit);
        for (index, rule) in spec.rules.iter_mut().flatten().enumerate() {
            if let Some(reference) = &mut rule.remote_group_ref {
                let pointer = format!("/rules/{index}/remoteGroupRef");
                let what = What::Object {
                    kind: "SecurityGroup",
                    reference,
                };
                visit(Need { pointer, what });
            }
        }
    }

    fn filter_needs(filter: &mut Filter, visit: &mut dyn FnMut(Need<'_>)) {
        neutron::project_need(&mut filter.project_ref, visit);
    }

    fn check(spec: &Spec) -> Vec<Complaint> {
        let Spec {
            name,
            description,
            tags,
            rules,
            stateful: _,
            project_ref: _,
        } = spec;
        let mut complaints =
            neutron::check(name.as_deref(), description.as_deref(), tags.as_deref());
        let rules = rules.as_deref().unwrap_or_default();
        if rules.len() > MAX_RULES {
            complaints.push(Complaint::new(
                "/rules",
                format!("at most {MAX_RULES} rules"),
            ));
        }
        for (index, rule) in rules.iter().enumerate() {
            complaints.extend(rule.check(&format!("/rules/{index}")));
        }
        complaints
    }

    fn fill(spec: &mut Spec, _: &Inputs) -> Result<Material, Refusal> {
        neutron::as_set(&mut spec.tags);
        if let Some(rules) = &mut spec.rules {
            let mut different: Vec<Rule> = Vec::with_capacity(rules.len());
            for mut rule in rules.drain(..) {
                rule.canonicalise();
                // Neutron would refuse the second of two spellings (409).
                if !different.iter().any(|other| other.same(&rule)) {
                    different.push(rule);
                }
            }
            *rules = different;
        }
        Ok(Material::default())
    }

    fn demand(intent: &Intent, _: &Spec, _: Option<&Object>, _: &Nearby<'_>) -> Vec<Demand> {
        let resource = match intent {
            Intent::Create => "security_group",
            Intent::Add(..) => "security_group_rule",
            _ => return Vec::new(),
        };
        vec![Demand::new(Self::SERVICE, resource, 1)]
    }

    fn create(spec: &Spec, birth: &Birth<'_>) -> Call {
        let mut body = neutron::newborn(birth, spec.description.as_deref());
        neutron::set(&mut body, "stateful", spec.stateful);
        neutron::place(&mut body, spec.project_ref.as_ref());
        neutron::post(&Self::COLLECTION, body)
    }

    fn update(spec: &Spec, group: &Object, fields: &[&'static str]) -> Call {
        let mut body = Map::new();
        for field in fields {
            match *field {
                "name" => neutron::set(&mut body, "name", spec.name.as_ref()),
                "description" => {
                    let text = group.standard.described(spec.description.as_deref());
                    body.insert("description".to_owned(), text);
                }
                _ => {}
            }
        }
        neutron::put(&Self::COLLECTION, &group.standard.id, body)
    }

    fn act(
        action: Action,
        element: Option<&Element>,
        spec: &Spec,
        group: &Object,
    ) -> Result<Call, Refusal> {
        let id = &group.standard.id;
        let rules = spec.rules.iter().flatten();
        let own = rules.filter(|it| it.remote_group_ref.as_ref().and_then(Ref::id) == Some(id));
        if action != Action::SetTags && own.count() > 0 {
            // Neither adding nor removing would ever bring the two spellings together.
            return Err(Refusal::new(
                "the group itself as the other side is written `remoteSelf: true`",
            ));
        }
        match action {
            Action::AddRule => {
                let path = "security-group-rules";
                let mut body = rule(element)?.body(id);
                // A rule belongs to who asks for it, not to the project of its group.
                if let Some(project) = spec.project_ref.as_ref().and_then(Ref::id) {
                    body["security_group_rule"]["project_id"] = json!(project);
                }
                Ok(Call::new(Self::SERVICE, Method::Post, path, path).json(body))
            }
            Action::RemoveRule => {
                let surplus = rule(element)?;
                let there = group
                    .security_group_rules
                    .iter()
                    .find(|it| it.rule(id).same(&surplus));
                let there =
                    there.ok_or_else(|| Refusal::new("the rule to remove is not in the group"))?;
                let path = format!("security-group-rules/{}", segment(&there.id));
                let route = "security-group-rules/{id}";
                Ok(Call::new(Self::SERVICE, Method::Delete, route, path))
            }
            Action::SetTags => {
                let route = "security-groups/{id}/tags";
                Ok(neutron::put_tags(
                    &Self::COLLECTION,
                    route,
                    id,
                    spec.tags.as_deref(),
                ))
            }
        }
    }

    fn after(action: Action, group: &Object, reply: &Reply) -> Option<Object> {
        let added = reply.body.get("security_group_rule")?;
        let added = serde_json::from_value(added.clone()).ok()?;
        let mut group = group.clone();
        group.security_group_rules.push(added);
        (action == Action::AddRule).then_some(group)
    }

    fn brand(group: &Object, birth: &Birth<'_>) -> Option<Call> {
        Some(group.standard.brand(&Self::COLLECTION, birth))
    }

    fn matches(filter: &Filter, group: &Object) -> bool {
        let Filter {
            name,
            description,
            tags,
            tags_any,
            not_tags,
            not_tags_any,
            ..
        } = filter;
        group.standard.is(&Wanted {
            name: name.as_deref(),
            description: description.as_deref(),
            tags: tags.as_deref(),
            tags_any: tags_any.as_deref(),
            not_tags: not_tags.as_deref(),
            not_tags_any: not_tags_any.as_deref(),
        }) && neutron::is_of(
            filter.project_ref.as_ref(),
            group.standard.project().as_deref(),
        )
    }
}

fn rule(element: Option<&Element>) -> Result<Rule, Refusal> {
    let mut rule: Rule = element
        .and_then(|it| serde_json::from_value(it.clone()).ok())
        .ok_or_else(|| Refusal::new("which rule is not said"))?;
    rule.canonicalise();
    Ok(rule)
}

#[cfg(test)]
mod tests {
    use super::super::erased::{AnyKind, Found, Intent, Of, unclassified};
    use super::super::field::{missing, surplus};
    use super::super::neutron::testing::*;
    use super::*;
    use crate::manifest::Group;
    use crate::manifest::problem::Code;
    use serde_json::Value;

    const RECORDED: &str = include_str!("testdata/security-group.json");
    const BY: Compare = Compare::Elements(rule::IDENTITY);

    /// What the recorded group holds, in other words.
    fn recorded_rules() -> Vec<Value> {
        vec![
            json!({"direction": "egress", "ethertype": "IPv4", "remoteIPPrefix": "0.0.0.0/0"}),
            json!({"direction": "egress", "ethertype": "IPv6", "remoteIPPrefix": "::/0"}),
            json!({
                "direction": "ingress", "ethertype": "IPv4", "protocol": "6",
                "portRange": {"min": 22, "max": 22}, "description": "ssh",
            }),
            json!({
                "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
                "portRange": {"min": 80, "max": 80},
            }),
            json!({
                "direction": "ingress", "ethertype": "IPv4", "protocol": "tcp",
                "portRange": {"min": 3306, "max": 3306}, "remoteIPPrefix": "192.168.50.9/24",
            }),
        ]
    }

    #[test]
    fn every_field_is_classified() {
        assert_eq!(
            unclassified(&Of::<SecurityGroup>::NEW),
            Vec::<String>::new()
        );
    }

    #[test]
    fn the_answer_about_a_rule_shows_the_group_with_it() {
        let kind: &dyn AnyKind = &Of::<SecurityGroup>::NEW;
        let group = serde_json::from_str(RECORDED).unwrap();
        let group = kind.look(group).unwrap();
        let rules = |found: &Found| kind.project(found, &Attached::default())["rules"].clone();
        let reply = |body: Value| Reply {
            status: 201,
            body,
            request_id: None,
        };
        let wanted = json!({"direction": "ingress", "ethertype": "IPv4", "protocol": "udp",
            "portRange": {"min": 53, "max": 53}});
        let added = json!({"security_group_rule": {
            "id": "r", "direction": "ingress", "ethertype": "IPv4", "protocol": "udp",
            "port_range_min": 53, "port_range_max": 53, "remote_ip_prefix": null,
            "remote_group_id": null, "description": "",
        }});
        let intent = Intent::Add("rules", wanted.clone());
        let with = kind.after(&intent, &group, &reply(added)).unwrap();
        assert_eq!(with.id, group.id);
        let (before, after) = (rules(&group), rules(&with));
        assert_eq!(surplus(BY, &before, &after), [wanted]);
        assert_eq!(missing(BY, &before, &after), [json!(null); 0]);
        // Another answer shows nothing.
        assert!(kind.after(&intent, &group, &reply(json!({}))).is_none());
    }

    #[test]
    fn what_is_created_is_what_was_wanted() {
        let whole = json!({
            "name": "a", "description": "b", "stateful": false, "tags": ["x"],
            "rules": recorded_rules(),
        });
        assert_eq!(
            unlike::<SecurityGroup>(&whole, &json!({})),
            ["rules", "tags"]
        );
    }

    #[test]
    fn a_recorded_group_is_understood() {
        let found = fixture::<SecurityGroup>(RECORDED);
        assert_eq!(found.health, Health::Ready);
        assert_eq!(drift::<SecurityGroup>(&json!({}), &found), []);
        let status = status::<SecurityGroup>(&found);
        assert_eq!(status["stateful"], true);
        assert_eq!(status["rules"].as_array().unwrap().len(), 5);
        assert_eq!(
            status["rules"][3],
            json!({
                "id": "237dcd45-854f-4f73-93fa-78b0d3639f77", "direction": "ingress",
                "ethertype": "IPv4", "protocol": "tcp", "portRange": {"min": 3306, "max": 3306},
                "remoteIPPrefix": "192.168.50.0/24",
            })
        );
    }

    #[test]
    fn the_same_rules_in_other_words_are_no_drift() {
        let found = fixture::<SecurityGroup>(RECORDED);
        let mut rules = recorded_rules();
        rules.push(rules[2].clone());
        rules.reverse();
        assert_eq!(
            drift::<SecurityGroup>(&json!({ "rules": rules }), &found),
            []
        );
    }

    #[test]
    fn each_rule_that_differs_has_a_request_of_its_own() {
        let found = fixture::<SecurityGroup>(RECORDED);
        let mut rules = recorded_rules();
        rules[3]["portRange"] = json!({"min": 443, "max": 443});
        rules[3]["description"] = json!("https");
        let want = resolved::<SecurityGroup>(&json!({ "rules": rules }));
        let have = projected::<SecurityGroup>(&found);
        let added = missing(BY, &want["rules"], &have["rules"]);
        let removed = surplus(BY, &want["rules"], &have["rules"]);
        assert_eq!((added.len(), removed.len()), (1, 1));

        let intent = Intent::Add("rules", added[0].clone());
        let add = request::<SecurityGroup>(&intent, &want, Some(&found)).unwrap();
        assert_eq!(
            (add.method, add.path.as_str()),
            (Method::Post, "security-group-rules")
        );
        assert_eq!(
            body(&add),
            &json!({"security_group_rule": {
                "security_group_id": found.id, "direction": "ingress", "ethertype": "IPv4",
                "protocol": "tcp", "port_range_min": 443, "port_range_max": 443,
                "description": "https",
            }})
        );

        let intent = Intent::Remove("rules", removed[0].clone());
        let remove = request::<SecurityGroup>(&intent, &want, Some(&found)).unwrap();
        assert_eq!(remove.method, Method::Delete);
        // The rule for port 80, in the recording.
        assert_eq!(
            remove.path,
            "security-group-rules/ed6695e6-e0c8-4ee4-919d-e91d1fb0c48b"
        );
        assert_eq!(remove.route, "security-group-rules/{id}");
    }

    #[test]
    fn an_empty_list_owns_the_default_rules_too() {
        let found = fixture::<SecurityGroup>(RECORDED);
        let have = projected::<SecurityGroup>(&found);
        assert_eq!(surplus(BY, &json!([]), &have["rules"]).len(), 5);
        assert_eq!(
            drift::<SecurityGroup>(&json!({"rules": []}), &found).len(),
            1
        );
    }

    #[test]
    fn a_group_can_name_itself_without_knowing_its_id() {
        let mut group: Value = serde_json::from_str(RECORDED).unwrap();
        let id = group["id"].clone();
        for rule in group["security_group_rules"].as_array_mut().unwrap() {
            rule["remote_ip_prefix"] = Value::Null;
            rule["remote_group_id"] = id.clone();
        }
        let found = look::<SecurityGroup>(group);
        let have = projected::<SecurityGroup>(&found);
        let own = &have["rules"][0];
        assert_eq!(
            (&own["remoteSelf"], own.get("remoteGroupRef")),
            (&json!(true), None)
        );
        assert_eq!(
            drift::<SecurityGroup>(&json!({"rules": have["rules"]}), &found),
            []
        );

        let add = Intent::Add("rules", own.clone());
        let call = request::<SecurityGroup>(&add, &json!({}), Some(&found)).unwrap();
        assert_eq!(body(&call)["security_group_rule"]["remote_group_id"], id);

        let by_id = json!({"rules": [
            {"direction": "ingress", "ethertype": "IPv4", "remoteGroupRef": {"id": id}},
        ]});
        let refused = request::<SecurityGroup>(&add, &by_id, Some(&found)).unwrap_err();
        assert!(refused.message.contains("remoteSelf"), "{refused}");
    }

    #[test]
    fn a_rule_that_is_not_there_cannot_be_removed() {
        let found = fixture::<SecurityGroup>(RECORDED);
        let other = json!({"direction": "ingress", "ethertype": "IPv6"});
        let intent = Intent::Remove("rules", other);
        assert!(request::<SecurityGroup>(&intent, &json!({}), Some(&found)).is_err());
    }

    #[test]
    fn a_rule_without_direction_is_refused_at_its_place() {
        let spec = json!({"rules": [recorded_rules()[0], {"ethertype": "IPv4"}]});
        assert_eq!(complaints::<SecurityGroup>(&spec), ["/rules/1"]);
    }

    #[test]
    fn groups_as_the_other_side_belong_to_the_native_group() {
        let spec =
            json!({"rules": [{"direction": "ingress", "ethertype": "IPv4", "remoteSelf": true}]});
        assert_eq!(accepted::<SecurityGroup>(Group::Native, &spec), Ok(()));
        assert_eq!(
            accepted::<SecurityGroup>(Group::Orc, &spec),
            Err(vec![Code::NativeField])
        );
        let plain = json!({"rules": [{"direction": "ingress", "ethertype": "IPv4"}]});
        assert_eq!(accepted::<SecurityGroup>(Group::Orc, &plain), Ok(()));
    }

    #[test]
    fn filters_choose_by_name() {
        let found = fixture::<SecurityGroup>(RECORDED);
        assert!(chooses::<SecurityGroup>(
            &json!({"name": "rec-group"}),
            &found
        ));
        assert!(!chooses::<SecurityGroup>(
            &json!({"name": "default"}),
            &found
        ));
    }
}
