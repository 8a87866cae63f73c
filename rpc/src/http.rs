//! JSON-RPC by HTTP POST.

use crate::error::RpcError;
use crate::head::Allowed;
use crate::local::{Limits, Local, error_of};
use crate::methods::MethodTable;
use crate::server::{Origins, ServerConfig};
use ::http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CONTENT_LENGTH, CONTENT_TYPE, ORIGIN, VARY};
use ::http::{HeaderValue, StatusCode};
use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use jsonrpsee::types::Id;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Answers POST requests. On a dev chain their content type does not matter: `curl -d` says
/// `application/x-www-form-urlencoded`, some clients say nothing at all, and what they send is JSON
/// all the same.
#[derive(Debug)]
pub(crate) struct Posts {
    /// Calls the methods.
    pub(crate) local: Local,
    origins: Origins,
    /// What a request may be like.
    pub(crate) allowed: Allowed,
    /// Requests that may be in flight, and sockets that may be open.
    pub(crate) in_flight: Arc<Semaphore>,
    in_flight_max: u32,
}

impl Posts {
    /// Answers with the methods of `table`.
    pub(crate) fn new(table: MethodTable, config: &ServerConfig) -> Self {
        Self {
            local: Local::new(table, None, Limits { subscriptions: 0, ..config.limits() }),
            origins: config.origins.clone(),
            allowed: Allowed {
                body_max: config.request_bytes_max as usize,
                hosts: config.hosts.clone(),
                json_only: config.json_only,
            },
            in_flight: Arc::new(Semaphore::new(config.connections_max as usize)),
            in_flight_max: config.connections_max,
        }
    }

    /// Answers one request. Who is refused for its origin never comes here.
    pub(crate) async fn answer(&self, request: Request) -> Response {
        let Ok(_permit) = self.in_flight.try_acquire() else {
            return self.too_many();
        };
        let content_type = request.headers().get(CONTENT_TYPE);
        if !self.allowed.content_type(content_type.map(HeaderValue::as_bytes)) {
            let text = "invalid content type, only application/json is supported\n";
            return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
        }
        let (head, body) = request.into_parts();
        let announced = head.headers.get(CONTENT_LENGTH).and_then(|length| length.to_str().ok());
        let announced = announced.and_then(|length| length.parse::<u64>().ok());
        if announced.is_some_and(|length| length > self.allowed.body_max as u64) {
            return self.too_large();
        }
        // What fails otherwise is a body without a length, or a connection that is gone anyway.
        let Ok(body) = to_bytes(body, self.allowed.body_max).await else {
            return self.too_large();
        };
        let answer = self.local.answer(&body, Vec::new()).await;
        let mut response = Response::new(Body::from(answer));
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        self.allow_origin(head.headers.get(ORIGIN), &mut response);
        response
    }

    /// Refuses a request or socket, for there are as many as there may be.
    pub(crate) fn too_many(&self) -> Response {
        let max = self.in_flight_max;
        let text = format!("too many requests in flight: at most {max}, see --connections-max\n");
        (StatusCode::TOO_MANY_REQUESTS, text).into_response()
    }

    fn too_large(&self) -> Response {
        let error =
            error_of(Vec::new(), &Id::Null, RpcError::request_too_large(self.allowed.body_max));
        let json = [(CONTENT_TYPE, "application/json")];
        (StatusCode::PAYLOAD_TOO_LARGE, json, error).into_response()
    }

    /// Lets the page that asks read the answer.
    fn allow_origin(&self, origin: Option<&HeaderValue>, response: &mut Response) {
        let Some(origin) = origin else { return };
        let headers = response.headers_mut();
        match &self.origins {
            Origins::Any => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*"));
            }
            Origins::Only(_) => {
                headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
                headers.insert(VARY, HeaderValue::from_static("origin"));
            }
            Origins::Nobody => {}
        }
    }
}
