//! The stock JavaScript client, version 4.8 from npm, against the backend: nothing of ours in between.

use crate::harness::{Backend, Folder};
use crate::npm;

const SCRIPT: &str = r#"
const { io } = require("socket.io-client");
const [base, token, email, password, transport] = process.argv.slice(2);
const fail = (what) => { console.error(what); process.exit(1); };
setTimeout(() => fail("nothing for 50 s"), 50000);
const socket = io(base, { transports: [transport], withCredentials: true });
socket.on("connect_error", (error) => fail("connect_error " + error.message));
socket.on("auth:error", (error) => fail("auth:error " + JSON.stringify(error)));
socket.on("connect", () => socket.emit("authenticate", { token }));
let heard = 0;
socket.on("auth:success", (data) => {
  if (typeof data.userId !== "string" || data.socketId === undefined) fail(JSON.stringify(data));
});
socket.on("notification:new", async (news) => {
  for (const key of ["id", "type", "title", "message", "priority", "createdAt", "expiresAt"])
    if (news[key] === undefined || news[key] === null) fail(key + " in " + JSON.stringify(news));
  socket.emit("notification:ack", { id: news.id });
  heard += 1;
  if (heard === 1) {
    const answer = await fetch(base + "/api/logins", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    });
    if (answer.status !== 200) fail("login " + answer.status);
  } else {
    console.log(JSON.stringify({ heard, type: news.type }));
    socket.disconnect();
    process.exit(0);
  }
});
"#;

#[tokio::test]
async fn the_stock_client_authenticates_and_hears_of_a_login() {
    let Some(modules) = npm::packages(&[npm::SOCKET_IO_CLIENT]) else {
        return;
    };
    let folder = Folder::new();
    let backend = Backend::start(folder.path(), &[]);
    for transport in ["websocket", "polling"] {
        let name = format!("ada-{transport}");
        let session = backend.user(&name).await;
        let email = format!("{name}@people.example");
        let arguments = [
            backend.http.base(),
            session["sessionToken"].as_str().expect("a token"),
            &email,
            "correct horse 1",
            transport,
        ];
        let line = npm::run(&modules, SCRIPT, &arguments).await;
        assert!(line.contains(r#""type":"login""#), "{transport}: {line}");
    }
}
