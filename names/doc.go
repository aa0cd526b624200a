// Package names is a registry of services: servers register under a name
// ("fs.photos"), clients open the name and get a lane to one of its instances.
// The lead works on this package and on /srv.
package names
