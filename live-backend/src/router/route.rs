//! One route: its address, who may call it, what it takes and what it answers.
//!
//! Belongs here: the shape of an entry of the table. Does not belong here: the entries (table), the text
//! made of them (openapi).

use super::access::Access;
use super::schema::{Field, Schema};
use crate::router::ServerState;
use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};

/// An entry of the table.
pub(crate) struct Route {
    pub(crate) method: Method,
    /// As axum writes it: `/api/session/{user_id}`.
    pub(crate) path: &'static str,
    pub(crate) access: Access,
    pub(crate) summary: &'static str,
    /// Fields of the JSON body; a body with another field is refused. `None` takes no body.
    pub(crate) body: Option<&'static [Field]>,
    pub(crate) query: &'static [Field],
    pub(crate) answers: Vec<Answer>,
    /// Refusals beside those that follow from access and body.
    pub(crate) refusals: &'static [u16],
    pub(super) handler: MethodRouter<ServerState>,
}

/// One way a request ends well.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content: Content,
}

/// What an answer carries.
#[derive(Clone, Copy)]
pub(crate) enum Content {
    Json(&'static Schema),
    /// Another media type.
    Media(&'static str),
}

impl Route {
    pub(crate) fn get<H: Handler<T, ServerState>, T: 'static>(
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        let handler = on(MethodFilter::GET, handler);
        Self::new(Method::GET, path, access, handler)
    }

    pub(crate) fn post<H: Handler<T, ServerState>, T: 'static>(
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        let handler = on(MethodFilter::POST, handler);
        Self::new(Method::POST, path, access, handler)
    }

    pub(crate) fn put<H: Handler<T, ServerState>, T: 'static>(
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        let handler = on(MethodFilter::PUT, handler);
        Self::new(Method::PUT, path, access, handler)
    }

    pub(crate) fn delete<H: Handler<T, ServerState>, T: 'static>(
        path: &'static str,
        access: Access,
        handler: H,
    ) -> Self {
        let handler = on(MethodFilter::DELETE, handler);
        Self::new(Method::DELETE, path, access, handler)
    }

    fn new(
        method: Method,
        path: &'static str,
        access: Access,
        handler: MethodRouter<ServerState>,
    ) -> Self {
        Self {
            method,
            path,
            access,
            summary: "",
            body: None,
            query: &[],
            answers: Vec::new(),
            refusals: &[],
            handler,
        }
    }

    /// What it does, in one line.
    #[must_use]
    pub(crate) const fn does(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// The fields its JSON body may have.
    #[must_use]
    pub(crate) const fn takes(mut self, body: &'static [Field]) -> Self {
        self.body = Some(body);
        self
    }

    /// The parameters its query may have.
    #[must_use]
    pub(crate) const fn asks(mut self, query: &'static [Field]) -> Self {
        self.query = query;
        self
    }

    /// A JSON answer.
    #[must_use]
    pub(crate) fn answers(self, status: u16, schema: &'static Schema) -> Self {
        self.answers_with(status, Content::Json(schema))
    }

    /// Any answer.
    #[must_use]
    pub(crate) fn answers_with(mut self, status: u16, content: Content) -> Self {
        self.answers.push(Answer { status, content });
        self
    }

    /// Refusals that its access and its body do not bring with them.
    #[must_use]
    pub(crate) const fn refuses(mut self, refusals: &'static [u16]) -> Self {
        self.refusals = refusals;
        self
    }

    /// Every status it refuses or fails with, in order.
    pub(crate) fn refusal_statuses(&self) -> Vec<u16> {
        // Everything passes the balancer, and any part may fail.
        let mut all = vec![500, 502, 503, 504];
        if self.body.is_some() {
            all.extend([400, 408, 413, 415]);
        }
        if !self.query.is_empty() || self.path.contains('{') {
            all.push(400);
        }
        all.extend(self.access.refusal_statuses());
        all.extend(self.refusals);
        all.sort_unstable();
        all.dedup();
        all
    }
}
