//! A whole collection, page by page: all of it, or an error. Never a part.
//!
//! Services say where the next page is in several ways, and some of their links point at hosts that
//! only they can reach: only a link's query is used.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};

use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::connection::Connection;
use crate::kinds::call::{Call, CallError, List, Method, Service};

/// Asked for per page; services that allow less answer with less and a link.
const PAGE: usize = 1000;

/// The longest body of one page, after decompression.
const PAGE_CAP: usize = 64 << 20;

/// More pages than this are a loop that goes on with new markers.
const PAGES: usize = 2000;

/// How often a list is begun anew because the item that marked the place was deleted meanwhile.
const RESTARTS: u32 = 3;

type Query = Vec<(String, String)>;

/// Reads all pages, and keeps of each item what `read` makes of it.
pub(super) async fn all<T>(
    connection: &Connection,
    list: &List,
    read: &impl Fn(&RawValue) -> T,
) -> Result<Vec<T>, CallError> {
    let mut restarts = 0;
    loop {
        match walk(connection, list, read).await {
            Err(Broken::MarkerGone(error)) if restarts < RESTARTS => {
                restarts += 1;
                tracing::debug!(list = list.path, %error, "list begun anew");
            }
            Err(Broken::MarkerGone(error)) => {
                let why = format!("its pages kept vanishing: {error}");
                return Err(incomplete(list, &why));
            }
            Err(Broken::Other(error)) => return Err(error),
            Ok(items) => return Ok(items),
        }
    }
}

enum Broken {
    MarkerGone(CallError),
    Other(CallError),
}

async fn walk<T>(
    connection: &Connection,
    list: &List,
    read: &impl Fn(&RawValue) -> T,
) -> Result<Vec<T>, Broken> {
    let limit = limit(list);
    let mut query = list.query.clone();
    if let (Some(limit), false) = (limit, has_limit(list)) {
        query.push(("limit".to_owned(), limit.to_string()));
    }
    let (mut items, mut seen) = (Items(Vec::new(), HashMap::new()), HashSet::new());
    for page in 0..PAGES {
        if !seen.insert(query.clone()) {
            return Err(Broken::Other(incomplete(
                list,
                "its pages go round in a circle",
            )));
        }
        let body = get(connection, list, &query)
            .await
            .map_err(|error| match error.status() {
                Some(400 | 404) if page > 0 => Broken::MarkerGone(error),
                _ => Broken::Other(error),
            })?;
        let next = next_link(list, &body);
        // Keystone cuts a list at its `list_limit`, and says no more than that it did.
        if next.is_none() && field(&body, "truncated") == true {
            let why = "the service cut it short (its list_limit)";
            return Err(Broken::Other(incomplete(list, why)));
        }
        let found = body.get(list.items).map(|text| text.get());
        let Some(Ok(found)) = found.map(serde_json::from_str::<Vec<&RawValue>>) else {
            let why = format!("its answer has no `{}`", list.items);
            return Err(Broken::Other(incomplete(list, &why)));
        };
        let count = found.len();
        let last = found.last().and_then(|item| marker(item));
        let new = items.add(&found, read);
        query = match (next, limit, last) {
            (Some(link), _, _) => follow(&query, &link),
            // No link although the page is exactly full: ask on with the last one as the marker.
            (None, Some(limit), Some(last)) if count == limit && pages(list.service) => {
                if new == 0 {
                    let why = "the page after a full one brought nothing new";
                    return Err(Broken::Other(incomplete(list, why)));
                }
                let place = place(list.service);
                let at = match place {
                    "offset" => ((page + 1) * limit).to_string(),
                    _ => last,
                };
                let mut query = list.query.clone();
                query.retain(|(name, _)| name != "limit" && name != place);
                query.push(("limit".to_owned(), limit.to_string()));
                query.push((place.to_owned(), at));
                query
            }
            _ => return Ok(items.0),
        };
    }
    Err(Broken::Other(incomplete(
        list,
        &format!("it has more than {PAGES} pages"),
    )))
}

/// The fields of a page as their texts: of a long list, one item after the other becomes what it
/// means, and there is never a tree of them all.
type Page = BTreeMap<String, Box<RawValue>>;

async fn get(connection: &Connection, list: &List, query: &Query) -> Result<Page, CallError> {
    let mut call = Call::new(list.service, Method::Get, list.path, list.path).at(list.microversion);
    call.query.clone_from(query);
    connection.fields(&call, PAGE_CAP).await
}

/// The value of a field, `null` if there is none.
fn field(page: &Page, name: &str) -> Value {
    let value = page.get(name).map(|text| serde_json::from_str(text.get()));
    value.and_then(Result::ok).unwrap_or_default()
}

/// Keystone has no pages, and refuses or ignores what it does not know.
const fn pages(service: Service) -> bool {
    !matches!(service, Service::Identity)
}

/// What says where a page begins. Manila knows only how many come before it, has no links, and
/// would take `marker` for a property to filter by.
const fn place(service: Service) -> &'static str {
    match service {
        Service::SharedFileSystem => "offset",
        _ => "marker",
    }
}

fn has_limit(list: &List) -> bool {
    list.query.iter().any(|(name, _)| name == "limit")
}

fn limit(list: &List) -> Option<usize> {
    let own = list.query.iter().find(|(name, _)| name == "limit");
    match own {
        Some((_, limit)) => limit.parse().ok(),
        None => pages(list.service).then_some(PAGE),
    }
}

/// Items in the order of their first appearance; one that moved to a later page meanwhile is there once.
struct Items<T>(Vec<T>, HashMap<String, usize>);

impl<T> Items<T> {
    /// Adds a page, and says how many of its items were new.
    fn add(&mut self, page: &[&RawValue], read: &impl Fn(&RawValue) -> T) -> usize {
        let before = self.0.len();
        for item in page {
            let place = marker(item).map(|id| *self.1.entry(id).or_insert(self.0.len()));
            match place.and_then(|at| self.0.get_mut(at)) {
                Some(known) => *known = read(item),
                None => self.0.push(read(item)),
            }
        }
        self.0.len() - before
    }
}

/// What names an item in a list: its id, or a keypair's name, which is wrapped.
fn marker(item: &RawValue) -> Option<String> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        id: Option<Cow<'a, str>>,
        #[serde(borrow)]
        keypair: Option<Wrapped<'a>>,
    }
    #[derive(Deserialize)]
    struct Wrapped<'a> {
        #[serde(borrow)]
        name: Option<Cow<'a, str>>,
    }
    let named: Named<'_> = serde_json::from_str(item.get()).ok()?;
    named
        .id
        .or_else(|| named.keypair?.name)
        .map(Cow::into_owned)
}

/// Glance's `next`, Keystone's `links.next`, and `{items}_links` with `rel: next` of the others.
fn next_link(list: &List, page: &Page) -> Option<String> {
    let of_list = |links: &Value| {
        let next = links
            .as_array()?
            .iter()
            .find(|link| link["rel"] == "next")?;
        next["href"].as_str().map(str::to_owned)
    };
    let links = field(page, "links");
    let direct = field(page, "next");
    let direct = direct.as_str().or_else(|| links["next"].as_str());
    direct
        .map(str::to_owned)
        .or_else(|| of_list(&field(page, &format!("{}_links", list.items))))
        .or_else(|| of_list(&links))
        .filter(|link| !link.is_empty())
}

/// The query of a link, whatever host and path it names. What was asked for at first and the link
/// forgot is asked for again.
fn follow(query: &Query, link: &str) -> Query {
    // The host is only there to make a relative link complete.
    let base = Url::parse("http://endpoint.invalid/");
    let Ok(url) = base.and_then(|base| base.join(link)) else {
        return query.clone();
    };
    let mut next: Query = url.query_pairs().into_owned().collect();
    for (name, value) in query {
        if name != "marker" && name != "offset" && !next.iter().any(|(known, _)| known == name) {
            next.push((name.clone(), value.clone()));
        }
    }
    next
}

fn incomplete(list: &List, why: &str) -> CallError {
    CallError::Unknown {
        message: format!(
            "the list of {} from {} is incomplete: {why}",
            list.path, list.service
        ),
        status: None,
        request_id: None,
        retry_after: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_query_of_a_link_is_used() {
        let query = vec![
            ("limit".to_owned(), "1000".to_owned()),
            ("all".to_owned(), "1".to_owned()),
        ];
        let pairs = |link: &str| follow(&query, link);
        let expected = vec![
            ("marker".to_owned(), "a b".to_owned()),
            ("limit".to_owned(), "5".to_owned()),
            ("all".to_owned(), "1".to_owned()),
        ];
        assert_eq!(
            pairs("http://evil.example/x?marker=a%20b&limit=5"),
            expected
        );
        assert_eq!(pairs("/v2/images?marker=a+b&limit=5"), expected);
        assert_eq!(pairs("//evil.example/?marker=a+b&limit=5"), expected);
    }
}
