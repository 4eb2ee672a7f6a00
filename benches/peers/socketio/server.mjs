// The same outside as the live backend's, as far as its load driver goes, on socket.io: accounts, the five
// requests, and the notification at once at every socket of the user concerned. Nothing is stored, hashed,
// queued or mailed, so whatever the backend does beside its sockets counts against it and not for it.
import { createServer } from "node:http";
import { randomBytes } from "node:crypto";
import { Server } from "socket.io";

const users = new Map();
const tokens = new Map();
const missed = new Set();
let requests = 0;

function tell(userId, type, message) {
  const now = new Date();
  io.to(`user:${userId}`).emit("notification:new", {
    id: randomBytes(16).toString("hex"), type, title: type, message, priority: "medium",
    createdAt: now.toISOString(), expiresAt: new Date(now.getTime() + 86400000).toISOString(),
  });
}

function act(path, body, token) {
  const requestId = String(++requests);
  const user = tokens.get(token);
  switch (path) {
    case "/api/signups": {
      const userId = randomBytes(8).toString("hex");
      users.set(body.email, userId);
      return [201, { userId, requestId }];
    }
    case "/api/logins": {
      const userId = users.get(body.email);
      const sessionToken = randomBytes(16).toString("hex");
      tokens.set(sessionToken, userId);
      if (io.sockets.adapter.rooms.has(`user:${userId}`)) tell(userId, "login", `Hello ${body.email}`);
      else missed.add(userId);
      return [200, { userId, sessionToken, refreshToken: sessionToken, requestId }];
    }
    case "/api/purchases":
      tell(user, "purchase", `You bought ${body.item} for ${body.amount} ${body.currency}.`);
      return [201, { purchaseId: requestId, requestId }];
    case "/api/friend-requests":
      tell(body.toUserId, "friend_request", "Somebody would like to be your friend.");
      return [201, { requestId }];
    case "/api/reset-password":
      return [202, { requestId }];
    default:
      return [404, { error: { code: "not_found", message: "there is nothing at this address" } }];
  }
}

const http = createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const text = Buffer.concat(chunks).toString();
    const token = (request.headers.authorization ?? "").replace("Bearer ", "");
    const [status, answer] = act(request.url, text ? JSON.parse(text) : {}, token);
    response.writeHead(status, { "content-type": "application/json" });
    response.end(JSON.stringify(answer));
  });
});
const io = new Server(http, { pingInterval: 30000, pingTimeout: 30000, maxHttpBufferSize: 65536 });
io.on("connection", (socket) => {
  socket.on("authenticate", ({ token }) => {
    const userId = tokens.get(token);
    if (!userId) return socket.emit("auth:error", { code: "unauthorized", message: "no such token" });
    socket.join(`user:${userId}`);
    socket.emit("auth:success", { userId, socketId: socket.id });
    // The load driver waits for the notification of a user's first login, which nobody was there to hear.
    if (missed.delete(userId)) tell(userId, "login", "Hello again");
  });
  socket.on("notification:ack", () => {});
});
http.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${http.address().port}`));
