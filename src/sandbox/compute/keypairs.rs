//! Key pairs: of a user, not of a project.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use jiff::Timestamp;
use md5::{Digest, Md5};
use serde_json::{Value, json};

use super::super::json::{Object, stamp_micros, text};
use super::super::quota::Counted;
use super::super::request::Request;
use super::super::response::{Answer, Refusal, Response};
use super::super::world::World;
use super::{Caller, invalid, no_route};

#[derive(Debug, Clone)]
pub(super) struct Keypair {
    sequence: u64,
    name: String,
    user_id: String,
    kind: String,
    public_key: String,
    fingerprint: String,
    created: Timestamp,
}

/// From this microversion on keys are imported only, and names may hold `@` and `.`.
const IMPORT_ONLY: u32 = 92;

impl World {
    pub(super) fn keypairs_call(
        &mut self,
        request: &Request,
        who: Caller<'_>,
        path: &[&str],
    ) -> Answer {
        let user = match request.arg("user_id").filter(|_| who.minor >= 10) {
            Some(other) if other != who.account.user_id && !who.account.admin => {
                return Err(Refusal::new(
                    403,
                    "Policy doesn't allow os_compute_api:os-keypairs:index to be performed.",
                ));
            }
            Some(other) => other.to_owned(),
            None => who.account.user_id.clone(),
        };
        let missing =
            |name: &str| Refusal::new(404, format!("Keypair {name} not found for user {user}"));
        match (&request.method, path) {
            (&Method::GET, []) => self.list_keypairs(request, who, &user),
            (&Method::POST, []) => self.create_keypair(request, who),
            (&Method::GET, [name]) => {
                let found = self
                    .compute
                    .keypairs
                    .get(&(user.clone(), (*name).to_owned()))
                    .ok_or_else(|| missing(name))?;
                let mut body = found.body(who.minor);
                let more = json!({"created_at": stamp_micros(found.created), "deleted": false, "deleted_at": null,
                    "updated_at": null, "id": found.sequence, "user_id": found.user_id});
                if let (Some(body), Some(more)) = (body.as_object_mut(), more.as_object()) {
                    body.extend(more.clone());
                }
                Ok(Response::json(200, json!({ "keypair": body })))
            }
            (&Method::DELETE, [name]) => {
                self.compute
                    .keypairs
                    .remove(&(user.clone(), (*name).to_owned()))
                    .ok_or_else(|| missing(name))?;
                Ok(Response::empty(if who.minor >= 2 { 204 } else { 202 }))
            }
            _ => Err(no_route()),
        }
    }

    pub(super) fn has_keypair(&self, user: &str, name: &str) -> bool {
        self.compute
            .keypairs
            .contains_key(&(user.to_owned(), name.to_owned()))
    }

    fn list_keypairs(&self, request: &Request, who: Caller<'_>, user: &str) -> Answer {
        let most = self.options.pages.compute;
        let limit = if who.minor >= 35 {
            super::list::page_size(request, most)?
        } else {
            usize::MAX
        };
        // Ordered by name: the key of the table.
        let mut found: Vec<&Keypair> = self
            .compute
            .keypairs
            .values()
            .filter(|k| k.user_id == user)
            .collect();
        if let Some(marker) = request.arg("marker").filter(|_| who.minor >= 35) {
            let place = found.iter().position(|k| k.name == marker);
            let place =
                place.ok_or_else(|| Refusal::new(400, format!("marker [{marker}] not found")))?;
            found.drain(..=place);
        }
        let full = found.len() > limit || (found.len() == limit && request.arg("limit").is_some());
        found.truncate(limit);
        let items: Vec<Value> = found
            .iter()
            .map(|k| json!({"keypair": k.body(who.minor)}))
            .collect();
        let mut body = json!({ "keypairs": items });
        if let Some(last) = found.last().filter(|_| full && who.minor >= 35) {
            body["keypairs_links"] = self.next_page(request, &last.name);
        }
        Ok(Response::json(200, body))
    }

    fn create_keypair(&mut self, request: &Request, who: Caller<'_>) -> Answer {
        let body = request.body_json().unwrap_or_default();
        let empty = Object::new();
        let wanted = body
            .get("keypair")
            .and_then(Value::as_object)
            .unwrap_or(&empty);
        let name = text(wanted, "name")
            .ok_or_else(|| invalid("keypair", &json!(wanted), "'name' is a required property"))?;
        let kind = wanted.get("type").filter(|_| who.minor >= 2);
        if let Some(kind) = kind.filter(|it| *it != "ssh" && *it != "x509") {
            let shown = kind.as_str().map_or(kind.to_string(), str::to_owned);
            let why = format!("'{shown}' is not one of ['ssh', 'x509']");
            return Err(invalid("type", kind, &why));
        }
        let extra = if who.minor >= IMPORT_ONLY {
            " _-@."
        } else {
            " _-"
        };
        if name.is_empty()
            || name.len() > 255
            || !name
                .chars()
                .all(|c| c.is_ascii_alphanumeric() || extra.contains(c))
        {
            return Err(Refusal::new(
                400,
                "Keypair data is invalid: Keypair name contains unsafe characters",
            ));
        }
        let mut private = None;
        let public_key = match text(wanted, "public_key") {
            Some(key) => key.to_owned(),
            None if who.minor >= IMPORT_ONLY => {
                return Err(invalid(
                    "keypair",
                    &json!(wanted),
                    "'public_key' is a required property",
                ));
            }
            None => {
                let (public, secret) = self.invented_key();
                private = Some(secret);
                public
            }
        };
        let fingerprint = fingerprint(&public_key).ok_or_else(|| {
            Refusal::new(
                400,
                "Keypair data is invalid: failed to generate fingerprint",
            )
        })?;
        let user_id = text(wanted, "user_id").filter(|_| who.account.admin && who.minor >= 10);
        let user_id = user_id.unwrap_or(&who.account.user_id).to_owned();
        let limit = self.limit(Counted::Compute, &who.account.project_id, "key_pairs");
        let used = self
            .compute
            .keypairs
            .values()
            .filter(|k| k.user_id == user_id)
            .count() as i64;
        if limit >= 0 && used >= limit {
            return Err(Refusal::new(403, "Quota exceeded, too many key pairs."));
        }
        let key = (user_id.clone(), name.to_owned());
        if self.compute.keypairs.contains_key(&key) {
            return Err(Refusal::new(
                409,
                format!("Key pair '{name}' already exists."),
            ));
        }
        let kind = text(wanted, "type").unwrap_or("ssh").to_owned();
        let keypair = Keypair {
            sequence: self.next_sequence(),
            name: name.to_owned(),
            user_id: user_id.clone(),
            kind,
            public_key,
            fingerprint,
            created: self.now,
        };
        let mut body = keypair.body(who.minor);
        body["user_id"] = json!(user_id);
        if let Some(private) = private {
            body["private_key"] = json!(private);
        }
        self.compute.keypairs.insert(key, keypair);
        Ok(Response::json(
            if who.minor >= 2 { 201 } else { 200 },
            json!({ "keypair": body }),
        ))
    }

    /// A key in the right form. Nothing can be opened with it: the sandbox has no guests to log in to.
    fn invented_key(&mut self) -> (String, String) {
        let mut blob = Vec::from(*b"\0\0\0\x0bssh-ed25519\0\0\0\x20");
        let mut secret = Vec::new();
        for _ in 0..4 {
            blob.extend(self.chance(u64::MAX).to_be_bytes());
            secret.extend(self.chance(u64::MAX).to_be_bytes());
        }
        let public = format!("ssh-ed25519 {} Generated-by-Nova", STANDARD.encode(&blob));
        let private = format!(
            "-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n-----END OPENSSH PRIVATE KEY-----\n",
            STANDARD.encode(&secret)
        );
        (public, private)
    }
}

impl Keypair {
    fn body(&self, minor: u32) -> Value {
        let mut body = json!({"name": self.name, "public_key": self.public_key, "fingerprint": self.fingerprint});
        if minor >= 2 {
            body["type"] = json!(self.kind);
        }
        body
    }
}

/// MD5 of the key's blob in pairs of digits; `None` when the text is no key.
fn fingerprint(key: &str) -> Option<String> {
    let mut words = key.split_whitespace();
    let kind = words.next()?;
    let blob = STANDARD.decode(words.next()?).ok()?;
    let length = usize::try_from(u32::from_be_bytes(blob.get(..4)?.try_into().ok()?)).ok()?;
    if blob.get(4..4 + length)? != kind.as_bytes() {
        return None;
    }
    let digest = Md5::digest(&blob);
    Some(
        digest
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect::<Vec<_>>()
            .join(":"),
    )
}
