//! Role assignments: asked for, made and taken away by their path.

use http::Method;

use super::super::request::Request;
use super::super::response::{Answer, Refusal};
use super::super::world::World;
use super::{Grant, forbidden, no_content, not_found};

impl World {
    pub(super) fn grant_route(&mut self, request: &Request, grant: Grant) -> Answer {
        let account = self.account(request)?;
        self.parts_exist(&grant)?;
        let action = match request.method {
            Method::GET | Method::HEAD => "check",
            Method::PUT => "create",
            Method::DELETE => "revoke",
            _ => return Err(not_found()),
        };
        if !account.admin {
            return Err(forbidden(&format!("identity:{action}_grant")));
        }
        let place = self.identity.grants.iter().position(|it| *it == grant);
        match (action, place) {
            ("create", None) => self.identity.grants.push(grant),
            ("revoke", Some(index)) => {
                self.identity.grants.remove(index);
            }
            (_, Some(_)) => {}
            (_, None) => return Err(missing(&grant)),
        }
        no_content()
    }

    /// Keystone looks for the role first, then for who is to have it, then for the place.
    fn parts_exist(&self, grant: &Grant) -> Result<(), Refusal> {
        let identity = &self.identity;
        let parts = [
            ("role", &identity.roles, &grant.role),
            match grant.actor.0.as_str() {
                "users" => ("user", &identity.users, &grant.actor.1),
                _ => ("group", &identity.groups, &grant.actor.1),
            },
            match grant.place.0.as_str() {
                "projects" => ("project", &identity.projects, &grant.place.1),
                _ => ("domain", &identity.domains, &grant.place.1),
            },
        ];
        let lost = parts
            .into_iter()
            .find(|(_, all, id)| !all.iter().any(|one| one.id == **id));
        lost.map_or(Ok(()), |(what, _, id)| {
            Err(Refusal::new(404, format!("Could not find {what}: {id}.")))
        })
    }
}

fn missing(grant: &Grant) -> Refusal {
    Refusal::new(
        404,
        format!(
            "Could not find role assignment with role: {}, user or group: {}, project, domain, or system: {}.",
            grant.role, grant.actor.1, grant.place.1
        ),
    )
}
