import { startJobs } from './load-package';
import { serveJobs } from './serve-jobs';

serveJobs(startJobs);
