/* socket to the gateway */
typedef int link_not_empty;
