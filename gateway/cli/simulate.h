/* The simulations that are no captures: each gets its own arguments, argv[0] = its name, and
 * returns an exit status of the command line. */
#pragma once

/* an agent of IEEE 11073-20601 that connects to a manager over TCP */
int simulate_agent(int argc, char **argv);
