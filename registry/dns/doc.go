// Package dns is the registry of names: A, AAAA and SRV records, asked for again when their time to live is over.
//
// DNS has no push, no list of services and no state of health; it has answers, and says how long they are good. An answer
// that says that there is nothing (NXDOMAIN, or no record of the type) is an authoritative empty state; everything else that
// is no answer (SERVFAIL, REFUSED, a referral, a time-out, a message that does not fit the question) is trouble, and the
// last state stays. Names are asked as they are: search domains are not tried.
package dns
