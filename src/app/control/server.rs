//! The session's end of the control socket.

use super::{MAX_LINE, Method, code, place};
use serde_json::{Value, json};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

/// Programs that may be connected at once: a shortcut, a bar, a script or two.
const MAX_CLIENTS: usize = 8;
/// Requests that wait for the session.
const MAX_WAITING: usize = 16;

/// What came of a request: its result, or why not.
pub type Answer = Result<Value, String>;

/// Something that is asked of the session.
pub struct Request {
    /// What.
    pub method: Method,
    /// Where the answer goes; whoever asked may be gone.
    pub answer: oneshot::Sender<Answer>,
}

/// Listens until it is dropped; its socket goes with it.
pub struct Server {
    requests: mpsc::Receiver<Request>,
    task: JoinHandle<()>,
    socket: PathBuf,
}

impl Server {
    /// Begins to listen in the folder that belongs to `data_dir`.
    ///
    /// # Errors
    /// The file system refuses, or the path is too long for a socket.
    pub fn start(data_dir: Option<&Path>) -> io::Result<Self> {
        let folder = place::folder(data_dir)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "there is no folder for it: set XDG_RUNTIME_DIR"))?;
        place::make(&folder)?;
        let socket = place::socket(&folder, std::process::id());
        // Left by a program that had the same number and was killed; no other can have it now.
        let _ = std::fs::remove_file(&socket);
        let listener = UnixListener::bind(&socket)?;
        std::fs::set_permissions(&socket, std::fs::Permissions::from_mode(0o600))?;
        let (sender, requests) = mpsc::channel(MAX_WAITING);
        Ok(Self { requests, task: tokio::spawn(listen(listener, sender)), socket })
    }

    /// The next request. Safe to cancel.
    pub async fn next(&mut self) -> Option<Request> {
        self.requests.recv().await
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
        let _ = std::fs::remove_file(&self.socket);
    }
}

async fn listen(listener: UnixListener, sender: mpsc::Sender<Request>) {
    let mut clients: Vec<JoinHandle<()>> = Vec::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                clients.retain(|client| !client.is_finished());
                if clients.len() < MAX_CLIENTS {
                    clients.push(tokio::spawn(serve(stream, sender.clone())));
                }
            }
            // Out of descriptors, most likely: let some be closed.
            Err(_) => tokio::time::sleep(std::time::Duration::from_millis(200)).await,
        }
        if sender.is_closed() {
            return;
        }
    }
}

async fn serve(stream: UnixStream, sender: mpsc::Sender<Request>) {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    loop {
        let mut line = Vec::new();
        match (&mut read).take(MAX_LINE as u64).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            // Longer than anything that makes sense, or cut off.
            Ok(_) if line.last() != Some(&b'\n') => return,
            Ok(_) => {}
        }
        let (id, method) = Method::from_line(&String::from_utf8_lossy(&line));
        let outcome = match method {
            Ok(method) => {
                let (answer, answered) = oneshot::channel();
                if sender.send(Request { method, answer }).await.is_err() {
                    return;
                }
                match answered.await {
                    Ok(answer) => answer.map_err(|why| (code::REFUSED, why)),
                    Err(_) => return,
                }
            }
            Err(why) => Err(why),
        };
        let mut reply = match outcome {
            Ok(result) => json!({ "jsonrpc": "2.0", "id": id, "result": result }),
            Err((code, message)) => {
                json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } })
            }
        }
        .to_string();
        reply.push('\n');
        if write.write_all(reply.as_bytes()).await.is_err() {
            return;
        }
    }
}
