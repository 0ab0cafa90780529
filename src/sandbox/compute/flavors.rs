//! Flavors.

use http::Method;
use serde_json::{Value, json};

use super::super::json::{Object, integer, text};
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{Caller, invalid, no_route, only_admin};

#[derive(Debug, Clone)]
pub(super) struct Flavor {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) ram: i64,
    pub(super) vcpus: i64,
    pub(super) disk: i64,
    pub(super) ephemeral: i64,
    pub(super) swap: i64,
    is_public: bool,
    description: Value,
    pub(super) extra_specs: Object,
}

impl World {
    pub(in super::super) fn found_compute(&mut self) {
        for (id, name, ram, disk, vcpus) in [
            ("1", "m1.nano", 128, 1, 1),
            ("2", "m1.tiny", 512, 1, 1),
            ("3", "m1.small", 2048, 20, 1),
            ("4", "m1.medium", 4096, 40, 2),
            ("5", "m1.large", 8192, 80, 4),
            ("6", "m1.xlarge", 16384, 160, 8),
            ("7", "m1.diskless", 512, 0, 1),
        ] {
            self.compute.flavors.push(Flavor {
                id: id.to_owned(),
                name: name.to_owned(),
                ram,
                vcpus,
                disk,
                ephemeral: 0,
                swap: 0,
                is_public: true,
                description: Value::Null,
                extra_specs: Object::new(),
            });
        }
    }

    pub(super) fn flavors_call(
        &mut self,
        request: &Request,
        who: Caller<'_>,
        path: &[&str],
    ) -> Answer {
        match (&request.method, path) {
            (&Method::GET, []) => self.list_flavors(request, who, false),
            (&Method::GET, ["detail"]) => self.list_flavors(request, who, true),
            (&Method::POST, []) => self.create_flavor(request, who),
            (&Method::GET, [id]) => {
                let flavor = self.flavor_shown(who, id)?;
                Ok(Response::json(
                    200,
                    json!({"flavor": self.flavor_body(flavor, who)}),
                ))
            }
            // Nothing but the description can be changed, and that since 2.55.
            (&Method::PUT, [id]) if who.minor >= 55 => {
                only_admin(who, "os_compute_api:os-flavor-manage:update")?;
                self.flavor(id)?;
                let body = request.body_json().unwrap_or_default();
                let Some(description) = body["flavor"].get("description") else {
                    let why = "'description' is a required property";
                    return Err(invalid("flavor", &body["flavor"], why));
                };
                if let Some(flavor) = self.compute.flavors.iter_mut().find(|f| f.id == *id) {
                    flavor.description = description.clone();
                }
                let flavor = self.flavor_body(self.flavor(id)?, who);
                Ok(Response::json(200, json!({ "flavor": flavor })))
            }
            (&Method::DELETE, [id]) => {
                only_admin(who, "os_compute_api:os-flavor-manage:delete")?;
                self.flavor(id)?;
                self.compute.flavors.retain(|f| f.id != *id);
                Ok(Response::empty(202))
            }
            (&Method::GET, [id, "os-extra_specs"]) => Ok(Response::json(
                200,
                json!({"extra_specs": self.flavor(id)?.extra_specs}),
            )),
            (&Method::GET, [id, "os-extra_specs", key]) => {
                let found = self.flavor(id)?.extra_specs.get(*key);
                let found = found.ok_or_else(|| {
                    Refusal::new(
                        404,
                        format!("Flavor {id} has no extra specs with key {key}."),
                    )
                })?;
                Ok(Response::json(200, json!({*key: found})))
            }
            (&Method::POST, [id, "os-extra_specs"]) => {
                only_admin(who, "os_compute_api:os-flavor-extra-specs:create")?;
                self.flavor(id)?;
                let body = request.body_json().unwrap_or_default();
                let wanted = body
                    .get("extra_specs")
                    .and_then(Value::as_object)
                    .cloned()
                    .unwrap_or_default();
                if let Some(flavor) = self.compute.flavors.iter_mut().find(|f| f.id == *id) {
                    flavor.extra_specs.extend(wanted.clone());
                }
                Ok(Response::json(200, json!({ "extra_specs": wanted })))
            }
            (&Method::DELETE, [id, "os-extra_specs", key]) => {
                only_admin(who, "os_compute_api:os-flavor-extra-specs:delete")?;
                self.flavor(id)?;
                if let Some(flavor) = self.compute.flavors.iter_mut().find(|f| f.id == *id) {
                    flavor.extra_specs.remove(*key);
                }
                Ok(Response::empty(200))
            }
            _ => Err(no_route()),
        }
    }

    /// A flavor by its id.
    pub(super) fn flavor(&self, id: &str) -> Result<&Flavor, Refusal> {
        let found = self.compute.flavors.iter().find(|f| f.id == id);
        found.ok_or_else(|| Refusal::new(404, format!("Flavor {id} could not be found.")))
    }

    fn list_flavors(&self, request: &Request, who: Caller<'_>, detail: bool) -> Answer {
        let limit = super::list::page_size(request, self.options.pages.compute)?;
        let number = |name: &str| {
            request.arg(name).map(|text| {
                text.parse::<i64>()
                    .map_err(|_| Refusal::new(400, format!("Invalid {name} filter [{text}]")))
            })
        };
        let (ram, disk) = (
            number("minRam").transpose()?,
            number("minDisk").transpose()?,
        );
        let public = match request.arg("is_public") {
            Some(text) if who.account.admin => super::super::json::bool_text(text),
            _ => Some(true),
        };
        let mut found: Vec<&Flavor> = self
            .compute
            .flavors
            .iter()
            .filter(|f| public.is_none_or(|public| f.is_public == public))
            .filter(|f| {
                ram.is_none_or(|ram| f.ram >= ram) && disk.is_none_or(|disk| f.disk >= disk)
            })
            .collect();
        match request.arg("sort_key") {
            Some("name") => found.sort_by(|a, b| a.name.cmp(&b.name)),
            Some("memory_mb") => found.sort_by_key(|f| f.ram),
            Some("root_gb") => found.sort_by_key(|f| f.disk),
            _ => found.sort_by(|a, b| a.id.cmp(&b.id)),
        }
        if request.arg("sort_dir") == Some("desc") {
            found.reverse();
        }
        if let Some(marker) = request.arg("marker") {
            let place = found.iter().position(|f| f.id == marker);
            let place =
                place.ok_or_else(|| Refusal::new(400, format!("marker [{marker}] not found")))?;
            found.drain(..=place);
        }
        let full = found.len() > limit || (found.len() == limit && request.arg("limit").is_some());
        found.truncate(limit);
        let flavors: Vec<Value> = found
            .iter()
            .map(|f| {
                if detail {
                    return self.flavor_body(f, who);
                }
                let mut short = json!({"id": f.id, "name": f.name, "links": self.compute_links("flavors", &f.id)});
                if who.minor >= 55 {
                    short["description"] = f.description.clone();
                }
                short
            })
            .collect();
        let mut body = json!({ "flavors": flavors });
        if let Some(last) = found.last().filter(|_| full) {
            body["flavors_links"] = self.next_page(request, &last.id);
        }
        Ok(Response::json(200, body))
    }

    /// A flavor that is not public is for administrators, as long as nobody was given access to it.
    fn flavor_shown(&self, who: Caller<'_>, id: &str) -> Result<&Flavor, Refusal> {
        let flavor = self.flavor(id)?;
        if flavor.is_public || who.account.admin {
            return Ok(flavor);
        }
        let text = format!("Flavor {id} could not be found.");
        Err(Refusal::new(404, text))
    }

    fn create_flavor(&mut self, request: &Request, who: Caller<'_>) -> Answer {
        only_admin(who, "os_compute_api:os-flavor-manage:create")?;
        let body = request.body_json().unwrap_or_default();
        let empty = Object::new();
        let wanted = body
            .get("flavor")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let number = |name: &str, least: i64| {
            let value = wanted.get(name).ok_or_else(|| {
                invalid(
                    "flavor",
                    &json!(wanted),
                    &format!("'{name}' is a required property"),
                )
            })?;
            integer(value).filter(|n| *n >= least).ok_or_else(|| {
                invalid(
                    name,
                    value,
                    &format!("{value} is less than the minimum of {least}"),
                )
            })
        };
        let optional = |name: &str| wanted.get(name).and_then(integer).unwrap_or(0);
        let name = text(wanted, "name")
            .ok_or_else(|| invalid("flavor", &json!(wanted), "'name' is a required property"))?;
        let id = match wanted.get("id").filter(|id| !id.is_null() && *id != "auto") {
            Some(id) => id.as_str().map_or_else(|| id.to_string(), str::to_owned),
            None => self.new_uuid(),
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || ". _-".contains(c);
        if id.is_empty() || id.trim() != id || !id.chars().all(fits) {
            let why = format!("'{id}' does not match '^(?! )[a-zA-Z0-9. _-]+(?<! )$'");
            return Err(invalid("id", &json!(id), &why));
        }
        if self.compute.flavors.iter().any(|f| f.name == name) {
            return Err(Refusal::new(
                409,
                format!("Flavor with name {name} already exists."),
            ));
        }
        if self.compute.flavors.iter().any(|f| f.id == id) {
            return Err(Refusal::new(
                409,
                format!("Flavor with ID {id} already exists."),
            ));
        }
        let flavor = Flavor {
            id,
            name: name.to_owned(),
            ram: number("ram", 1)?,
            vcpus: number("vcpus", 1)?,
            disk: number("disk", 0)?,
            ephemeral: optional("OS-FLV-EXT-DATA:ephemeral"),
            swap: optional("swap"),
            is_public: wanted
                .get("os-flavor-access:is_public")
                .and_then(Value::as_bool)
                .unwrap_or(true),
            description: wanted.get("description").cloned().unwrap_or_default(),
            extra_specs: Object::new(),
        };
        let body = self.flavor_body(&flavor, who);
        self.compute.flavors.push(flavor);
        Ok(Response::json(200, json!({ "flavor": body })))
    }

    fn flavor_body(&self, flavor: &Flavor, who: Caller<'_>) -> Value {
        let swap = if who.minor < 75 && flavor.swap == 0 {
            json!("")
        } else {
            json!(flavor.swap)
        };
        let mut body = json!({"id": flavor.id, "name": flavor.name, "ram": flavor.ram, "disk": flavor.disk, "swap": swap,
            "OS-FLV-EXT-DATA:ephemeral": flavor.ephemeral, "vcpus": flavor.vcpus,
            "os-flavor-access:is_public": flavor.is_public, "links": self.compute_links("flavors", &flavor.id)});
        // Of the lab's 2.104 both are gone.
        if who.minor < 102 {
            body["OS-FLV-DISABLED:disabled"] = json!(false);
            body["rxtx_factor"] = json!(1.0);
        }
        if who.minor >= 55 {
            body["description"] = flavor.description.clone();
        }
        if who.minor >= 61 {
            body["extra_specs"] = json!(flavor.extra_specs);
        }
        body
    }
}
