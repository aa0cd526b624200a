// Package names is a registry of services. Servers register under a name
// ("fs.photos"), in this process or over a lane from another one; clients open
// the name and get a lane of their own to one of its instances. Boxes show a
// registry as /srv, where each service is a file.
//
// A name belongs to the user who registered it first. Who may open it is said by
// mode, owner and group, as with a file; identities are the kernel's word.
// Several instances can share a name. When the last one ends, the name goes, so a
// server that is started again takes it over; with Service.Recovers it stays, and
// whoever opens it meanwhile waits.
//
// The package imports lane and the standard library.
//
// Lock order: Registry.mu and Conn.mu are leaves; nothing is called under them.
// Conversation.sending is held while a message is under way, Conversation.mu is
// a leaf.
package names
