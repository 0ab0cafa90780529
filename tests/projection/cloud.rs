//! The prepared cloud, and one generated object in a copy of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};
use stackward::engine::desired::Desired;
use stackward::kinds::call::{Call, Method, Service};
use stackward::kinds::erased::{Accepted, AnyKind, Found, Intent};
use stackward::kinds::field::{Class, Compare, Difference, diff, missing, surplus};
use stackward::kinds::health::Health;
use stackward::kinds::marker::Owner;
use stackward::kinds::need::{Declared, DeclaredWhat, Inputs, Material};
use stackward::kinds::{Attached, Birth, KINDS, find};
use stackward::manifest::{Key, Ref, Shape, ValueSource, parse};
use uuid::Uuid;

use crate::schema::UUID;
use crate::sim::{Sim, assemble};

pub const MINUTE: Duration = Duration::from_secs(60);
/// Another one than whose the cloud before is.
const OWNER: u128 = 7;
const NAME: &str = "x";
const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIFPtmIMnPDYcDI1FWLU0ZmWYXZDi6dmBWf1DPFkxUbBR of@file\n";

/// What tells the formats of disks: where, and which bytes.
const MAGIC: &[(&str, usize, &[u8])] = &[
    ("qcow2", 0, b"QFI\xfb\0\0\0\x03"),
    ("vmdk", 0, b"KDMV"),
    ("vhdx", 0, b"vhdxfile"),
    ("vhd", 0, b"conectix"),
    ("vdi", 0x40, &[0x7f, 0x10, 0xda, 0xbe]),
    ("iso", 0x8001, b"CD001"),
];

/// Fields whose value means something only together with another field's: nobody who changes that
/// one keeps it. Kind, the other field, the field.
const TOGETHER: &[(&str, &str, &str)] = &[
    ("FloatingIP", "portRef", "fixedIP"),
    // A person who rebuilds a server does not note down which Image object the disk is made from.
    ("Server", "imageRef", "imageName"),
];

/// The cloud as it is before, and the file that manifests name.
pub struct Cloud {
    before: Sim,
    ids: BTreeMap<&'static str, BTreeMap<String, String>>,
    /// What references to fields read, by kind and name.
    statuses: BTreeMap<(&'static str, String), Value>,
    /// The ids of everything, with what a cloud has from the beginning.
    there: BTreeMap<&'static str, BTreeSet<String>>,
    /// The one thing that manifests name by its id alone, since no kind makes it.
    address_group: String,
    assets: tempfile::TempDir,
}

/// One object that is wanted.
#[derive(Debug, Clone)]
pub struct Wanted {
    pub kind: &'static dyn AnyKind,
    /// As it stands in the manifest.
    pub spec: Value,
    pub accepted: Accepted,
    /// What else has to be declared for it.
    beside: Vec<Value>,
}

/// A daemon with one object, beside a copy of the cloud.
pub struct Trial {
    pub sim: Sim,
    assets: BTreeMap<String, PathBuf>,
}

impl Cloud {
    pub fn new() -> Self {
        let mut before = Sim::of_admin(1);
        before
            .world
            .set_options(|options| options.host = (160_000, 64 << 20, 10 << 20));
        let made = |before: &mut Sim, path: &'static str, body: Value| {
            let call = Call::new(Service::Network, Method::Post, path, path).json(body);
            let answer = before.pass_on(&call).unwrap().body;
            let one = answer.as_object().unwrap().values().next().unwrap();
            one["id"].as_str().unwrap().to_owned()
        };
        let vlan = json!({"network": {"name": "vlan", "project_id": "of-others", "provider:network_type": "vlan",
            "provider:physical_network": "physnet1", "provider:segmentation_id": 77, "mtu": 1450}});
        let vlan = made(&mut before, "networks", vlan);
        let group = json!({"address_group": {"addresses": ["10.9.0.0/24"]}});
        let address_group = made(&mut before, "address-groups", group);
        let world = include_str!("world.yaml")
            .replace("{user}", before.user())
            .replace("{project}", &before.project)
            .replace("{vlan}", &vlan);
        before.declare(&[("world.yaml".to_owned(), world)]);
        before.run_until_rest(30 * MINUTE);
        before.assert_converged();
        let mut ids: BTreeMap<&'static str, BTreeMap<String, String>> = BTreeMap::new();
        let mut statuses = BTreeMap::new();
        for (key, object) in &before.engine.snapshot().objects {
            let kind = find(&key.kind).unwrap().name();
            let id = object.status.id.clone().unwrap();
            statuses.insert(
                (kind, key.name.to_string()),
                object.status.document(&key.name, "default"),
            );
            ids.entry(kind)
                .or_default()
                .insert(key.name.to_string(), id);
        }
        let mut there = BTreeMap::new();
        for kind in KINDS {
            let items = before.items(kind.name()).into_iter();
            let ids: BTreeSet<String> = items.map(|item| kind.look(item).unwrap().id).collect();
            there.insert(kind.name(), ids);
        }
        let assets = tempfile::tempdir().unwrap();
        std::fs::write(assets.path().join("asset"), KEY).unwrap();
        for (format, at, mark) in MAGIC {
            let mut bytes = vec![0; *at];
            bytes.extend_from_slice(mark);
            std::fs::write(assets.path().join(format!("asset.{format}")), bytes).unwrap();
        }
        Self {
            before,
            ids,
            statuses,
            there,
            address_group,
            assets,
        }
    }

    /// A spec as a schema gave it, with references to what is there: `None` where its kind does not
    /// accept it.
    pub fn wanted(&self, kind: &'static dyn AnyKind, spec: &Value) -> Option<Wanted> {
        let text = spec.to_string().replace(UUID, &self.address_group);
        let mut spec: Value = serde_json::from_str(&text).unwrap();
        // What stands for another object as well, or is in a list of its own, is the business of
        // tests/orc/places.rs.
        let elsewhere = kind.part().map(|(_, field)| field);
        for field in elsewhere.into_iter().chain(["routerRef"]) {
            if kind.name() != "RouterInterface" {
                spec.as_object_mut()?.remove(field);
            }
        }
        // Glance looks at what a file begins with.
        let format = spec["content"]["diskFormat"].as_str().unwrap_or_default();
        let file = match MAGIC.iter().find(|(name, ..)| *name == format) {
            Some((name, ..)) => format!("asset.{name}"),
            None => "asset".to_owned(),
        };
        let mut beside = BTreeMap::new();
        for need in accept(kind, &spec).ok()?.needs {
            let place = spec.pointer_mut(&need.pointer);
            match need.what {
                DeclaredWhat::Object { kind, reference } => {
                    let reference = self.existing(kind, reference, &mut beside);
                    *place? = json!(reference);
                }
                DeclaredWhat::SecretKey { key, .. } => {
                    *place? = json!("secret");
                    let data = json!({key: "a-secret"});
                    beside.insert("Secret".to_owned(), data_object("Secret", "secret", &data));
                }
                DeclaredWhat::File { .. } => *place? = json!(file),
                DeclaredWhat::Value(source) => {
                    // What a kind reads of something that it refers to elsewhere has no place.
                    let Some(place) = place else { continue };
                    self.supply(source, place, &mut beside);
                }
            }
        }
        let accepted = accept(kind, &spec).ok()?;
        let beside = beside.into_values().collect();
        Some(Wanted {
            kind,
            spec,
            accepted,
            beside,
        })
    }

    /// A value from elsewhere, of something that there is.
    fn supply(&self, source: ValueSource, place: &mut Value, beside: &mut BTreeMap<String, Value>) {
        let mut name_of = |kind: &str, name| {
            let kind = find(kind).map_or("Network", AnyKind::name);
            match self.existing(kind, Ref::Name(name), beside) {
                Ref::Name(name) => name,
                other => panic!("a name became {other:?}"),
            }
        };
        match source {
            // The name of the object is all that the manifest says.
            ValueSource::Field { kind, name, .. } if place.is_string() => {
                *place = json!(name_of(&kind, name));
            }
            ValueSource::Field { kind, name, .. } => {
                place["fieldRef"]["name"] = json!(name_of(&kind, name));
            }
            ValueSource::SecretKey { .. } => {
                place["secretKeyRef"] = json!({"name": "of-values", "key": "key"});
                let data = json!({"key": "value"});
                beside.insert(
                    "of-values".to_owned(),
                    data_object("Secret", "of-values", &data),
                );
            }
            ValueSource::ConfigMapKey { .. } => {
                place["configMapKeyRef"] = json!({"name": "data", "key": "key"});
                let data = json!({"key": "value"});
                beside.insert("data".to_owned(), data_object("ConfigMap", "data", &data));
            }
            ValueSource::Value(_) => {}
        }
    }

    /// The object whose name in the cloud this is.
    fn named(&self, kind: &'static str, name: &str) -> Option<String> {
        let is = |known: &&String| {
            self.field(kind, known, "status.resource.name").as_deref() == Some(name)
        };
        self.ids[kind].keys().find(is).cloned()
    }

    /// What a field of something that there is says.
    fn field(&self, kind: &str, name: &str, path: &str) -> Option<String> {
        let document = self.statuses.get(&(find(kind)?.name(), name.to_owned()))?;
        let pointer = path.replace(['.', '['], "/").replace(']', "");
        let value = document.pointer(&format!("/{pointer}"))?;
        Some(
            value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned),
        )
    }

    /// The same reference to something that there is.
    fn existing(
        &self,
        kind: &'static str,
        reference: Ref,
        beside: &mut BTreeMap<String, Value>,
    ) -> Ref {
        let Some(known) = self.ids.get(kind) else {
            panic!("world.yaml has no {kind}, but something refers to one");
        };
        let pick = |letter: &str| {
            let all: Vec<&String> = known.keys().collect();
            let at = letter.bytes().next().unwrap_or(b'a').wrapping_sub(b'a');
            all[usize::from(at) % all.len()].clone()
        };
        let by_name = || find(kind).unwrap().schemas().filter["properties"]["name"].is_object();
        match reference {
            Ref::Id(id) if known.values().any(|it| *it == id) => Ref::Id(id),
            Ref::Id(id) => Ref::Id(known[&pick(&id)].clone()),
            Ref::Filter(filter) => {
                let given = filter["name"].as_str().unwrap_or("a");
                let name = self.named(kind, given).unwrap_or_else(|| pick(given));
                if by_name() {
                    let name = self.field(kind, &name, "status.resource.name");
                    Ref::Filter(json!({"name": name}))
                } else {
                    Ref::Id(known[&name].clone())
                }
            }
            Ref::Name(name) => {
                let name = pick(&name);
                let import = json!({
                    "apiVersion": "stackward.dev/v1alpha1", "kind": kind, "metadata": {"name": name},
                    "spec": {"managementPolicy": "unmanaged", "import": {"id": known[&name]}},
                });
                beside.insert(format!("{kind}/{name}"), import);
                Ref::Name(name)
            }
        }
    }

    /// The spec with the ids of what it refers to; in words why it cannot be made at all.
    pub fn resolved(&self, wanted: &Wanted) -> Result<Value, String> {
        let spec = wanted.accepted.spec.as_ref().unwrap();
        let id_of = |pointer: &str| {
            let need = wanted
                .accepted
                .needs
                .iter()
                .find(|it| it.pointer == pointer)?;
            let DeclaredWhat::Object { kind, reference } = &need.what else {
                return None;
            };
            match reference {
                Ref::Id(id) => Some(id.clone()),
                Ref::Name(name) => self.ids[kind].get(name).cloned(),
                Ref::Filter(filter) => {
                    let name = self.named(kind, filter["name"].as_str()?)?;
                    self.ids[kind].get(&name).cloned()
                }
            }
        };
        let mut inputs = Inputs {
            uid: Owner(Uuid::from_u128(OWNER)).uid(&key(wanted.kind)),
            ..Inputs::default()
        };
        for Declared { pointer, what } in &wanted.accepted.needs {
            let text = match what {
                DeclaredWhat::Object { .. } => continue,
                DeclaredWhat::File { .. } => KEY.to_owned(),
                DeclaredWhat::SecretKey { .. } => "a-secret".to_owned(),
                DeclaredWhat::Value(ValueSource::Field { kind, name, path }) => {
                    self.field(kind, name, path).unwrap_or_default()
                }
                DeclaredWhat::Value(_) => "value".to_owned(),
            };
            inputs.texts.insert(pointer.clone(), text.into());
            if let DeclaredWhat::File { path, .. } = what {
                inputs
                    .files
                    .insert(pointer.clone(), self.assets.path().join(path));
            }
        }
        let resolved = wanted.kind.resolve(&spec.value(), &id_of, &inputs);
        let (mut spec, _) = resolved.map_err(|why| why.message)?;
        // As every manifest says of itself: the object's own name if not set.
        let properties = wanted.kind.schemas().spec["properties"].clone();
        if spec["name"].is_null() && properties["name"].is_object() {
            spec["name"] = json!(NAME);
        }
        Ok(spec)
    }

    /// A daemon that has just begun, beside a copy of the cloud.
    pub fn trial(&self) -> Trial {
        let files = std::fs::read_dir(self.assets.path()).unwrap();
        let named = files.map(|file| {
            let file = file.unwrap();
            (file.file_name().into_string().unwrap(), file.path())
        });
        let mut sim = self.before.beside(OWNER);
        sim.deleted = Some(Vec::new());
        Trial {
            sim,
            assets: named.collect(),
        }
    }

    /// A spec that was projected from what `from` made: `None` where its kind does not accept it as
    /// it is, or where it refers to what was made together with the object.
    pub fn projected(&self, from: &Wanted, spec: Value) -> Option<Wanted> {
        let accepted = accept(from.kind, &spec).ok()?;
        let is_there = |need: &Declared| match &need.what {
            DeclaredWhat::Object {
                kind,
                reference: Ref::Id(id),
            } => self.there[kind].contains(id),
            _ => from.accepted.needs.iter().any(|it| it == need),
        };
        accepted.needs.iter().all(is_there).then_some(Wanted {
            kind: from.kind,
            spec,
            accepted,
            beside: from.beside.clone(),
        })
    }
}

impl Wanted {
    pub fn manifest(&self, lifecycle: &Value) -> Value {
        manifest(self.kind, &self.spec, lifecycle)
    }
}

impl Trial {
    /// The object is declared, and nothing happens any more.
    pub fn declare(&mut self, wanted: &Wanted, lifecycle: &Value) {
        let mut documents: Vec<String> = wanted.beside.iter().map(Value::to_string).collect();
        documents.push(wanted.manifest(lifecycle).to_string());
        let file = ("x.yaml".to_owned(), documents.join("\n---\n"));
        let desired: Desired = assemble(&[file], Some(&self.sim.desired), &self.assets);
        self.sim.declare_set(desired);
        // What the cloud refuses is tried again for ever; once is enough here.
        let began = self.sim.now;
        while self.sim.now < began + jiff::SignedDuration::from_mins(20) {
            self.sim.run_until_rest(MINUTE);
            let refused = self.trouble(wanted.kind).is_none_or(|it| it.0 == "Backoff");
            if refused || self.is_refused_later() || self.sim.engine.snapshot().at_rest {
                break;
            }
            // The next thing may happen later than in a minute only.
            self.sim.run_for(MINUTE);
        }
    }

    /// Whether the service took it and failed on it afterwards: no manifest here lets it be deleted
    /// for anything else.
    pub fn is_refused_later(&self) -> bool {
        !self.deleted().is_empty() && self.deleted_wrongly().is_none()
    }

    /// In which state it was when the daemon deleted it, if it had not failed.
    pub fn deleted_wrongly(&self) -> Option<String> {
        let mut all = self.deleted().iter();
        let wrong = all.find(|(_, health)| !matches!(health, Some(Health::Stuck { .. })));
        wrong.map(|(_, health)| format!("{health:?}"))
    }

    fn deleted(&self) -> &[(Key, Option<Health>)] {
        self.sim.deleted.as_deref().unwrap_or_default()
    }

    /// The id of the object, once it is there.
    pub fn id(&self, kind: &dyn AnyKind) -> Option<String> {
        self.sim
            .engine
            .snapshot()
            .objects
            .get(&key(kind))?
            .status
            .id
            .clone()
    }

    /// Why it is not in order: code and words.
    pub fn trouble(&self, kind: &dyn AnyKind) -> Option<(&'static str, String)> {
        let snapshot = self.sim.engine.snapshot();
        if snapshot.is_converged() {
            return None;
        }
        let Some(object) = snapshot.objects.get(&key(kind)) else {
            return Some(("Problem", self.sim.complaints().join("; ")));
        };
        let words = object
            .status
            .condition("Progressing")
            .map(|it| it.message.clone());
        Some((object.reason, words.unwrap_or_default()))
    }

    /// The object as its kind sees it in its own list, and the spec that it would be made from.
    pub fn look(&mut self, kind: &'static dyn AnyKind, id: &str) -> Option<(Found, Value)> {
        let all = |sim: &mut Sim, kind: &dyn AnyKind| -> Vec<Found> {
            let items = sim.items(kind.name());
            items
                .into_iter()
                .map(|item| kind.look(item).unwrap())
                .collect()
        };
        let found = all(&mut self.sim, kind)
            .into_iter()
            .find(|it| it.id == id)?;
        let mut beside = Vec::new();
        for name in kind.attached() {
            let other = all(&mut self.sim, find(name).unwrap());
            let those = other
                .into_iter()
                .filter(|it| it.attached_to.iter().any(|to| to == id));
            beside.extend(those.map(|it| (*name, it)));
        }
        let mut attached = Attached::default();
        for (name, found) in &beside {
            attached.push(name, found);
        }
        let spec = kind.project(&found, &attached);
        Some((found, spec))
    }

    /// Somebody else brings one field to another value, by the same requests; whether it worked.
    pub fn by_hand(
        &mut self,
        kind: &'static dyn AnyKind,
        id: &str,
        field: &str,
        to: &Value,
    ) -> bool {
        let rows: Vec<_> = kind
            .rows()
            .into_iter()
            .filter(|row| row.name == field)
            .collect();
        let material = Material::default();
        for _ in 0..20 {
            let Some((found, have)) = self.look(kind, id) else {
                return false;
            };
            let birth = Birth {
                name: NAME,
                marker: Owner(Uuid::from_u128(9)).marker(&key(kind), 1),
                object: NAME,
                id: Uuid::from_u128(9),
                material: &material,
            };
            let mut spec = have.clone();
            spec[field] = to.clone();
            // What is told of the old value is no part of the new one.
            for (.., told) in TOGETHER
                .iter()
                .filter(|it| it.0 == kind.name() && it.1 == field)
            {
                spec[*told] = Value::Null;
            }
            let differences = diff(&rows, &spec, &have);
            let intent = match (&found.health, differences.first()) {
                (Health::Ready, None) => return true,
                _ if kind.remedy(&spec, &found).is_some() => Intent::Remedy(String::new()),
                (_, Some(difference)) => step(difference, rows[0].compare),
                _ => {
                    self.pause();
                    continue;
                }
            };
            let Ok(call) = kind.request(&intent, &spec, Some(&found), &birth) else {
                return false;
            };
            if self.sim.send(&call).is_err() {
                return false;
            }
            self.pause();
        }
        false
    }

    /// Time for what is under way: Cinder tells the device of a volume after Nova tells the volume.
    pub fn pause(&mut self) {
        self.sim.now += jiff::SignedDuration::from_secs(20);
    }
}

/// The request that mends a difference.
fn step(difference: &Difference, compare: Compare) -> Intent {
    let field = difference.field;
    match difference.class {
        Class::Members => {
            let (want, have) = (&difference.want, &difference.have);
            let mut surplus = surplus(compare, want, have);
            match surplus.pop() {
                Some(element) => Intent::Remove(field, element),
                None => Intent::Add(field, missing(compare, want, have).remove(0)),
            }
        }
        Class::Update => Intent::Update(vec![field]),
        _ => Intent::Act(field),
    }
}

fn key(kind: &dyn AnyKind) -> Key {
    Key::new(kind.name(), "default", NAME)
}

fn data_object(kind: &str, name: &str, data: &Value) -> Value {
    let entry = if kind == "Secret" {
        "stringData"
    } else {
        "data"
    };
    json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, entry: data})
}

fn manifest(kind: &dyn AnyKind, spec: &Value, lifecycle: &Value) -> Value {
    let spec = match kind.shape() {
        Shape::Flat => spec.clone(),
        Shape::Enveloped => json!({"lifecycle": lifecycle, "resource": spec}),
    };
    json!({
        "apiVersion": "stackward.dev/v1alpha1", "kind": kind.name(), "metadata": {"name": NAME},
        "spec": spec,
    })
}

/// What a kind says of a spec.
pub fn accept(kind: &'static dyn AnyKind, spec: &Value) -> Result<Accepted, String> {
    let shapes: Vec<_> = KINDS
        .iter()
        .map(|kind| (kind.name(), kind.shape()))
        .collect();
    let text = manifest(kind, spec, &json!({})).to_string();
    let (manifests, problems) = parse::parse("x.yaml", &text, parse::Kinds(&shapes));
    let words = |problems: &[stackward::manifest::Problem]| {
        let all: Vec<String> = problems.iter().map(|it| it.message.to_string()).collect();
        all.join("; ")
    };
    if !problems.is_empty() {
        return Err(words(&problems));
    }
    kind.accept(&manifests[0])
        .map_err(|problems| words(&problems))
}
