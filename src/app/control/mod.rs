//! The control socket: what a session can be asked by other programs of the same person (`resonance ctl`, a desktop's shortcut).
//!
//! JSON-RPC 2.0 (jsonrpc.org/specification), one object a line, over a Unix socket that only its owner can open.
//!
//! | method | params | result |
//! |---|---|---|
//! | `run` | `{"line": "say hello"}`: a line of the command table | the events that it caused at once, as `--headless` prints them |
//! | `ptt` | `{"state": "on" \| "off" \| "toggle"}` | `{"open": true}`: whether the microphone is open now |
//! | `state` | none | who is here, what is open, the link |

pub mod client;
mod place;
mod server;

pub use server::{Answer, Request, Server};

use serde_json::{Value, json};

/// The longest line, in bytes: the longest command and its wrapping; answers hold a link and eight people.
const MAX_LINE: usize = 64 * 1024;

/// Error codes of the specification, and ours.
mod code {
    /// The line is no JSON.
    pub const PARSE: i64 = -32_700;
    /// It is no request.
    pub const REQUEST: i64 = -32_600;
    /// There is no such method.
    pub const METHOD: i64 = -32_601;
    /// The parameters are not what the method takes.
    pub const PARAMS: i64 = -32_602;
    /// The session did not do it.
    pub const REFUSED: i64 = -32_000;
}

/// What can be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Method {
    /// A line of the command table.
    Run(String),
    /// Whether the microphone is to be open.
    Talk(Talk),
    /// How things are.
    State,
}

/// What is to become of the microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Talk {
    /// Open.
    On,
    /// Closed.
    Off,
    /// The other of both.
    Toggle,
}

impl Method {
    /// The request that asks for it.
    fn to_json(&self, id: u64) -> Value {
        let (method, params) = match self {
            Self::Run(line) => ("run", json!({ "line": line })),
            Self::Talk(talk) => {
                let state = match talk {
                    Talk::On => "on",
                    Talk::Off => "off",
                    Talk::Toggle => "toggle",
                };
                ("ptt", json!({ "state": state }))
            }
            Self::State => ("state", json!({})),
        };
        json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
    }

    /// Reads a request: its id (null for none) and what it asks, or why not.
    fn from_line(line: &str) -> (Value, Result<Self, (i64, String)>) {
        let Ok(request) = serde_json::from_str::<Value>(line) else {
            return (Value::Null, Err((code::PARSE, "this is not JSON".to_owned())));
        };
        let id = request.get("id").filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or(Value::Null);
        (id, Self::from_json(&request))
    }

    fn from_json(request: &Value) -> Result<Self, (i64, String)> {
        let refused = |code, why: &str| Err((code, why.to_owned()));
        if request.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
            return refused(code::REQUEST, "this is no request of JSON-RPC 2.0");
        }
        let Some(method) = request.get("method").and_then(Value::as_str) else {
            return refused(code::REQUEST, "there is no method");
        };
        let param = |name: &str| request.get("params")?.get(name)?.as_str();
        match method {
            "run" => match param("line") {
                Some(line) => Ok(Self::Run(line.to_owned())),
                None => refused(code::PARAMS, "run takes {\"line\": \"…\"}"),
            },
            "ptt" => match param("state") {
                Some("on") => Ok(Self::Talk(Talk::On)),
                Some("off") => Ok(Self::Talk(Talk::Off)),
                Some("toggle") => Ok(Self::Talk(Talk::Toggle)),
                _ => refused(code::PARAMS, "ptt takes {\"state\": \"on\"}, \"off\" or \"toggle\""),
            },
            "state" => Ok(Self::State),
            _ => refused(code::METHOD, "there is no such method: run, ptt, state"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_written_and_read_back() {
        for method in [
            Method::Run("say hi".into()),
            Method::Talk(Talk::On),
            Method::Talk(Talk::Off),
            Method::Talk(Talk::Toggle),
            Method::State,
        ] {
            assert_eq!(Method::from_line(&method.to_json(7).to_string()), (json!(7), Ok(method)));
        }
    }

    #[test]
    fn what_is_no_request_is_refused_with_the_code_of_the_specification() {
        for (line, expected) in [
            ("", code::PARSE),
            ("{", code::PARSE),
            ("[]", code::REQUEST),
            ("{\"method\": \"state\"}", code::REQUEST),
            ("{\"jsonrpc\": \"2.0\"}", code::REQUEST),
            ("{\"jsonrpc\": \"2.0\", \"method\": \"dance\"}", code::METHOD),
            ("{\"jsonrpc\": \"2.0\", \"method\": \"run\"}", code::PARAMS),
            ("{\"jsonrpc\": \"2.0\", \"method\": \"run\", \"params\": [\"mute\"]}", code::PARAMS),
            ("{\"jsonrpc\": \"2.0\", \"method\": \"ptt\", \"params\": {\"state\": 1}}", code::PARAMS),
        ] {
            let (id, method) = Method::from_line(line);
            assert_eq!((id, method.expect_err(line).0), (Value::Null, expected), "{line}");
        }
    }
}
