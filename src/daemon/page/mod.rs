//! The status page: what is managed and how it is, for people with a browser. Made on the server
//! from a picture; a script of a few lines makes it live, and it works without. It changes nothing.

mod graph;
mod view;

use std::convert::Infallible;
use std::sync::LazyLock;
use std::time::Duration;

use axum::Router;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderName, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{Stream, StreamExt as _};
use minijinja::{AutoEscape, Environment};
use serde::Serialize;

use super::Picture;
use super::clock::Clock;
use super::serve::Shown;
use crate::manifest::Key;

use view::{Filter, ObjectPage, Overview};

/// The page is told of changes no more often than this.
const PACE: Duration = Duration::from_secs(1);
/// A browser whose stream has ended comes back after this.
const COMES_BACK: Duration = Duration::from_secs(2);

/// Nothing from elsewhere, nothing inline, nowhere to send a form but here.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static TEMPLATES: LazyLock<Environment<'static>> = LazyLock::new(|| {
    let mut environment = Environment::new();
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(minijinja::UndefinedBehavior::Strict);
    for (name, text) in [
        ("frame.html", include_str!("frame.html")),
        ("overview.html", include_str!("overview.html")),
        ("graph.html", include_str!("graph.html")),
        ("picture.html", include_str!("picture.html")),
        ("object.html", include_str!("object.html")),
        ("missing.html", include_str!("missing.html")),
    ] {
        if let Err(error) = environment.add_template(name, text) {
            tracing::error!(%error, name, "template of the status page");
        }
    }
    environment
});

/// The routes of the page.
pub(super) fn router() -> Router<Shown> {
    Router::new()
        .route("/", get(overview))
        .route("/graph", get(graph))
        .route("/objects/{kind}/{namespace}/{name}", get(object))
        .route("/changes", get(changes))
        .route("/page.css", get(style))
        .route("/page.js", get(script))
}

async fn overview(State(shown): State<Shown>, Query(filter): Query<Filter>) -> Response {
    let picture = shown.pictures.borrow().clone();
    let now = Clock::machine().now();
    render("overview.html", &Overview::new(&picture, &filter, now))
}

async fn graph(State(shown): State<Shown>, Query(filter): Query<Filter>) -> Response {
    let picture = shown.pictures.borrow().clone();
    render("graph.html", &view::GraphPage::new(&picture, &filter))
}

async fn object(
    State(shown): State<Shown>,
    Path((kind, namespace, name)): Path<(String, String, String)>,
) -> Response {
    let picture = shown.pictures.borrow().clone();
    let key = Key::new(kind, namespace, name);
    match ObjectPage::new(&picture, &key, Clock::machine().now()) {
        Some(page) => render("object.html", &page),
        None => {
            let mut response = render("missing.html", &view::Missing::new(&picture, &key));
            *response.status_mut() = StatusCode::NOT_FOUND;
            response
        }
    }
}

/// Says that something has changed, not what: the page is asked for again.
async fn changes(State(shown): State<Shown>) -> Response {
    let events = Sse::new(told(shown.pictures)).keep_alive(axum::response::sse::KeepAlive::new());
    (
        [
            (header::CACHE_CONTROL, "no-store"),
            (HeaderName::from_static("x-accel-buffering"), "no"),
        ],
        events,
    )
        .into_response()
}

fn told(
    pictures: tokio::sync::watch::Receiver<Picture>,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let first = futures_util::stream::iter([Ok(Event::default().retry(COMES_BACK))]);
    let later = futures_util::stream::unfold(pictures, async |mut pictures| {
        tokio::time::sleep(PACE).await;
        pictures.changed().await.ok()?;
        pictures.borrow_and_update();
        Some((Ok(Event::default().data("changed")), pictures))
    });
    first.chain(later)
}

async fn style() -> Response {
    asset("text/css; charset=utf-8", include_str!("page.css"))
}

async fn script() -> Response {
    asset("text/javascript; charset=utf-8", include_str!("page.js"))
}

fn asset(content_type: &'static str, text: &'static str) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "max-age=300"),
    ];
    (headers, text).into_response()
}

fn render(name: &str, context: &impl Serialize) -> Response {
    let text = TEMPLATES
        .get_template(name)
        .and_then(|it| it.render(minijinja::value::Serde(context)));
    match text {
        Ok(text) => {
            let headers = [
                (header::CONTENT_TYPE, "text/html; charset=utf-8"),
                (header::CONTENT_SECURITY_POLICY, POLICY),
                (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
                (header::REFERRER_POLICY, "no-referrer"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            (headers, text).into_response()
        }
        Err(error) => {
            tracing::error!(%error, name, "status page");
            (
                StatusCode::INTERNAL_SERVER_ERROR,
                "the page cannot be made\n",
            )
                .into_response()
        }
    }
}
