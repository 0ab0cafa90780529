//! Whether a server runs, and what changes its size or its disk: actions that Nova takes only in
//! certain states. One action at a time; the next look decides the rest.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::kinds::Refusal;
use crate::kinds::field::Change;
use crate::kinds::marker::IMAGE_KEY;

use super::{Action, Object, Spec, id_in};

/// Whether a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum PowerState {
    /// It runs.
    Running,
    /// It is shut down; its host keeps a place for it.
    Stopped,
    /// It stands still, in its host's memory.
    Paused,
    /// It stands still, its memory on its host's disk.
    Suspended,
    /// It is put away as an image, and takes no place on a host.
    Shelved,
}

/// What it is in now, where that is one of those that a manifest can ask for.
pub(super) fn state(server: &Object) -> Option<PowerState> {
    match server.status.as_str() {
        "ACTIVE" => Some(PowerState::Running),
        "SHUTOFF" => Some(PowerState::Stopped),
        "PAUSED" => Some(PowerState::Paused),
        "SUSPENDED" => Some(PowerState::Suspended),
        "SHELVED" | "SHELVED_OFFLOADED" => Some(PowerState::Shelved),
        _ => None,
    }
}

/// The body of the next action on the way to a state. All ways but that onto the shelf lead over a
/// running server.
pub(super) fn step(wanted: PowerState, server: &Object) -> Result<Value, Refusal> {
    use PowerState::{Paused, Running, Shelved, Stopped, Suspended};
    let action = match (state(server), wanted) {
        (Some(Running), Stopped) => "os-stop",
        (Some(Running), Paused) => "pause",
        (Some(Running), Suspended) => "suspend",
        (Some(Running | Stopped | Paused | Suspended), Shelved) => "shelve",
        (Some(Stopped), _) => "os-start",
        (Some(Paused), _) => "unpause",
        (Some(Suspended), _) => "resume",
        (Some(Shelved), _) => "unshelve",
        (Some(Running), Running) | (None, _) => {
            return Err(Refusal::new(format!(
                "a server that is {} cannot be brought to {wanted:?}",
                server.status
            )));
        }
    };
    Ok(json!({ action: null }))
}

/// The body that gives it another flavor.
pub(super) fn resize(spec: &Spec, server: &Object) -> Result<Value, Refusal> {
    runs_or_is_stopped(server, "resized")?;
    match spec.flavor_ref.id() {
        Some(flavor) => Ok(json!({"resize": {"flavorRef": flavor}})),
        None => Err(Refusal::new("the flavor is not known")),
    }
}

/// The body that makes its disk anew from another image.
pub(super) fn rebuild(spec: &Spec, server: &Object) -> Result<Value, Refusal> {
    runs_or_is_stopped(server, "rebuilt")?;
    if id_in(&server.image).is_none() {
        return Err(Refusal::new(
            "it boots from a volume, so there is no disk to make anew from an image",
        ));
    }
    match spec.image_ref.as_ref().and_then(|it| it.id()) {
        Some(image) => {
            let mut metadata = server.metadata.clone();
            match &spec.image_name {
                Some(name) => metadata.insert(IMAGE_KEY.to_owned(), name.clone()),
                None => metadata.remove(IMAGE_KEY),
            };
            // Nova replaces all of the metadata by what is given here.
            Ok(json!({"rebuild": {"imageRef": image, "metadata": metadata}}))
        }
        None => Err(Refusal::new("the image is not known")),
    }
}

/// A resize waits for a word: yes if it is to the flavor that is wanted, otherwise it is undone.
pub(super) fn remedy(spec: &Spec, server: &Object) -> Option<Change<Action>> {
    if server.status != "VERIFY_RESIZE" {
        return None;
    }
    let is_wanted = id_in(&server.flavor).as_deref() == spec.flavor_ref.id();
    Some(if is_wanted {
        Change::Action(Action::ConfirmResize)
    } else {
        Change::Disrupt(Action::RevertResize)
    })
}

fn runs_or_is_stopped(server: &Object, what: &str) -> Result<(), Refusal> {
    match state(server) {
        Some(PowerState::Running | PowerState::Stopped) => Ok(()),
        _ => Err(Refusal::new(format!(
            "a server that is {} cannot be {what}; powerState: Running or Stopped makes it possible",
            server.status
        ))),
    }
}
