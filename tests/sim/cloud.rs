//! The simulated cloud as it is asked: by the daemon, by a person, and by the tests themselves.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stackward::kinds::MarkerPlace;
use stackward::kinds::call::{
    Body, Call, CallError, List, Method, Reply, Service, Source, USER_ID, Upload,
};
use stackward::kinds::erased::AnyKind;
use stackward::manifest::Key;
use stackward::sandbox::{self, Request};

use super::{Sim, coverage};

impl Sim {
    /// The id of the daemon's user.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// One request of the daemon's user.
    pub fn send(&mut self, call: &Call) -> Result<Reply, CallError> {
        assert_eq!(coverage::lacking(call), None);
        self.pass_on(call)
    }

    /// A request of anybody with the rights of the daemon's user.
    pub fn pass_on(&mut self, call: &Call) -> Result<Reply, CallError> {
        // A token lives for some hours, and a simulated life may be longer.
        if self.now.duration_since(self.logged_in_at).as_mins() >= 30 {
            self.log_in(&self.account.clone());
        }
        if self.without == Some(call.service) {
            return Err(CallError::NotSent {
                message: format!("cloud `sandbox` has no {} service", call.service),
                hint: None,
            });
        }
        let mut request = Request::new(
            method(call.method),
            &format!("{}{}", prefix(call.service), call.path).replace(USER_ID, &self.user),
        )
        .token(&self.token);
        request.query = call.query.clone();
        if let Some(version) = call.microversion {
            request = at(request, call.service, version.want);
        }
        request.body = match &call.body {
            Body::None => sandbox::Payload::Empty,
            Body::Json(value) => sandbox::Payload::Json(value.clone()),
            Body::ImagePatch(value) => {
                request = request.header(
                    "content-type",
                    "application/openstack-images-v2.1-json-patch",
                );
                sandbox::Payload::Json(value.clone())
            }
            Body::Upload(upload) => {
                request = request.header("content-type", "application/octet-stream");
                let head = match &upload.source {
                    Source::File(path) => std::fs::read(path).unwrap(),
                    Source::Url(url) => url.as_bytes().to_vec(),
                };
                sandbox::Payload::Upload(sandbox::Upload {
                    size: head.len() as u64,
                    md5: "0".repeat(32),
                    sha512: "0".repeat(128),
                    head: head.into(),
                })
            }
        };
        let response = self.world.handle(&request, self.now);
        if !response.is_delivered() {
            return Err(unknown(None, "the connection was reset"));
        }
        let is_json = matches!(response.body, sandbox::Body::Empty | sandbox::Body::Json(_));
        if !is_json && response.status < 300 {
            return Err(unknown(Some(response.status), "the answer is no JSON"));
        }
        let request_id = response.header("X-Openstack-Request-Id").map(str::to_owned);
        let body = match response.body {
            sandbox::Body::Json(body) => body,
            _ => Value::Null,
        };
        match response.status {
            200..300 => Ok(Reply {
                status: response.status,
                body,
                request_id,
            }),
            status @ 400..500 => Err(CallError::Rejected {
                service: call.service,
                status,
                fault: body["NeutronError"]["type"].as_str().map(str::to_owned),
                message: body.to_string(),
                request_id,
                retry_after: None,
            }),
            status => Err(unknown(Some(status), "the service failed")),
        }
    }

    pub(super) fn list(&mut self, list: &List) -> Result<Vec<Value>, CallError> {
        let mut items = Vec::new();
        for request in list.requests() {
            items.extend(self.pages(&request)?);
        }
        Ok(items)
    }

    fn pages(&mut self, list: &List) -> Result<Vec<Value>, CallError> {
        let mut items = Vec::new();
        let mut marker: Option<String> = None;
        loop {
            let mut call = Call::new(list.service, Method::Get, "", list.path);
            if !self.weather.unfiltered {
                call.query = list.query.clone();
            }
            call.query.push(("limit".to_owned(), "1000".to_owned()));
            if let Some(marker) = marker {
                call.query.push(("marker".to_owned(), marker));
            }
            call.microversion = list.microversion;
            let page = match self.send(&call)?.body[list.items].take() {
                Value::Array(page) => page,
                _ => Vec::new(),
            };
            let full = page.len() == 1000;
            marker = page
                .last()
                .and_then(|item| item["id"].as_str())
                .map(str::to_owned);
            items.extend(page);
            if !full {
                return Ok(items);
            }
        }
    }

    /// A request of somebody else in the same project: a person with the openstack client.
    pub fn by_hand(&mut self, method: &str, target: &str, body: Value) -> Value {
        let (status, answer) = self.try_by_hand(method, target, body);
        assert!(status < 300, "{method} {target}: {status} {answer}");
        answer
    }

    /// The same, if it may be refused: its status and its answer.
    pub fn try_by_hand(&mut self, method: &str, target: &str, body: Value) -> (u16, Value) {
        let mut request = Request::new(method.parse().unwrap(), target).token(&self.token);
        if !body.is_null() {
            request = request.json(body);
        }
        if target.starts_with("/compute") {
            request = at(request, Service::Compute, (2, 79));
        }
        if target.starts_with("/share") {
            request = at(request, Service::SharedFileSystem, (2, 63));
        }
        let response = self.world.handle(&request, self.now);
        (response.status, response.value().clone())
    }

    /// An image with data, made by hand; its id.
    pub fn image_by_hand(&mut self, name: &str) -> String {
        let image = json!({"name": name, "disk_format": "raw", "container_format": "bare"});
        let image = self.by_hand("POST", "/image/v2/images", image);
        let id = image["id"].as_str().unwrap().to_owned();
        let upload = Body::Upload(Upload {
            source: Source::Url("data".to_owned()),
            decompress: None,
            hash: None,
        });
        let path = format!("images/{id}/file");
        let call = Call::new(Service::Image, Method::Put, "images/{id}/file", path).body(upload);
        self.send(&call).unwrap();
        id
    }

    /// The items of a collection, as the project sees them.
    pub fn items(&mut self, kind: &str) -> Vec<Value> {
        let kind = stackward::kinds::find(kind).unwrap();
        let mut list = kind.list();
        // What is listed by domain is looked up in every one.
        if let Some((parameter, "domainRef")) = kind.part() {
            let domains = stackward::kinds::find("Domain").unwrap().list();
            let domains = self.list(&domains).unwrap_or_default().into_iter();
            list.parts = domains
                .filter_map(|domain| Some((parameter, domain["id"].as_str()?.to_owned())))
                .collect();
        }
        self.list(&list).unwrap()
    }

    /// The ids of those that carry a marker of ours, with the object that they are.
    pub fn ours(&mut self) -> BTreeMap<Key, Vec<String>> {
        let owner = self.settings.owner;
        let keys: Vec<Key> = self.desired.objects.keys().cloned().collect();
        let mut ours: BTreeMap<Key, Vec<String>> = BTreeMap::new();
        let marked = |kind: &&&dyn AnyKind| kind.marker() != MarkerPlace::NaturalKey;
        for kind in stackward::kinds::KINDS.iter().filter(marked) {
            for item in self.items(kind.name()) {
                let found = kind.look(item).unwrap();
                let Some(marker) = found.marker else { continue };
                let key = keys
                    .iter()
                    .find(|key| owner.uids(key).any(|uid| uid == marker.uid));
                let key = key
                    .cloned()
                    .unwrap_or_else(|| Key::new(kind.name(), "?", found.id.clone()));
                ours.entry(key).or_default().push(found.id);
            }
        }
        ours
    }
}

pub(super) fn unknown(status: Option<u16>, message: &str) -> CallError {
    CallError::Unknown {
        message: message.to_owned(),
        status,
        request_id: None,
        retry_after: None,
    }
}

fn method(method: Method) -> http::Method {
    method.as_str().parse().unwrap()
}

fn prefix(service: Service) -> &'static str {
    match service {
        Service::Identity => "/identity/v3/",
        Service::Image => "/image/v2/",
        Service::Compute => "/compute/v2.1/",
        Service::BlockStorage => "/volume/v3/",
        Service::Network => "/network/v2.0/",
        Service::SharedFileSystem => "/share/v2/",
    }
}

fn at(request: Request, service: Service, (major, minor): (u16, u16)) -> Request {
    let name = match service {
        Service::SharedFileSystem => {
            let version = format!("{major}.{minor}");
            return request.header("x-openstack-manila-api-version", &version);
        }
        Service::Compute => "compute",
        _ => "volume",
    };
    request.header("openstack-api-version", &format!("{name} {major}.{minor}"))
}
