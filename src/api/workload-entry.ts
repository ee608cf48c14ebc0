// WorkloadEntry (networking.istio.io): something that runs outside the mesh and answers for services that select it.
import { isIP } from 'node:net';
import { describe, labels, nonEmptyText, portNumber, record, refused, unsupported, z } from './schema.js';

/** Where it answers; names and sockets of files come with the resolutions that need them. */
const endpointAddress = z.string().superRefine((value, context) => {
  if (isIP(value) !== 0) {
    if (/^[0:.]+$/.test(value))
      context.addIssue({ code: 'custom', message: 'stands for all addresses of a machine; give one of them' });
    return;
  }
  if (value.startsWith('unix:'))
    context.addIssue({
      code: 'custom',
      message: 'is not supported yet: unix sockets; give an IP address',
      params: { code: unsupported },
    });
  else context.addIssue({ code: 'custom', message: 'must be an IP address; ports stand in `ports`' });
});

const accountName = z
  .string()
  .regex(/^[A-Za-z0-9]([-A-Za-z0-9._]{0,251}[A-Za-z0-9])?$/, 'must be the name of a service account');

/** Label by which an endpoint says whether it takes mTLS; without it a service account means that it does. */
export const tlsModeLabel = 'security.istio.io/tlsMode';

export const workloadEntrySpec = record({
  address: describe(endpointAddress, 'IP address.'),
  ports: describe(
    z.record(nonEmptyText, portNumber).optional(),
    'Port by the name of the port of the service; default: the targetPort of the service, or its port.',
  ),
  labels: describe(labels.optional(), 'What selectors and subsets choose by.'),
  weight: describe(
    z
      .int('must be a whole number')
      .min(0, 'must not be negative')
      .max(2 ** 31 - 1)
      .optional(),
    'Share of requests relative to other endpoints; default and 0: 1.',
  ),
  serviceAccount: describe(
    accountName.optional(),
    `Service account of a proxy there, in the namespace of the object: it is called with mTLS and must have that identity, unless the label ${tlsModeLabel} says \`disabled\`. Absent: plaintext.`,
  ),
  locality: describe(nonEmptyText.optional(), 'No effect: there is no preference for near endpoints.'),
  network: refused('Network of the endpoint.', 'leave it out: endpoints must be reachable directly'),
});

export type WorkloadEntrySpec = z.infer<typeof workloadEntrySpec>;
